"""What container engines say they were asked, as evidence beside the kernel's.

The kernel names the runtime that sent a signal; only the engine knows that
somebody asked it to.
"""

from __future__ import annotations

from collections.abc import Iterator

from tracer.errors import RuntimeUnreachableError
from tracer.model.events import AttachedEvent, ObservationEvent


def observe_engines(attached: AttachedEvent) -> Iterator[ObservationEvent]:
    """Ask the engines of the traced containers what happened since the attach.

    An engine that does not answer is an observation too.
    """
    from tracer.containers.engine_events import SOURCE, read_engine_events

    since_unix_ns = attached.boot_ns + attached.utc_offset_ns
    try:
        events = read_engine_events(attached.target.containers, since_unix_ns)
    except RuntimeUnreachableError as error:
        yield ObservationEvent(attached.boot_ns, SOURCE, None, {"error": error.message})
        return
    for event in events:
        boot_ns = event["time_unix_ns"] - attached.utc_offset_ns
        yield ObservationEvent(boot_ns, SOURCE, None, event)
