"""What container engines say they were asked, as evidence besides the kernel's.

The kernel names the runtime that sent a signal; only the engine knows that
a client asked it to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tracer.masking.masking import mask_text
from tracer.model.events import AttachedEvent, ObservationEvent


def observe_engines(
    attached: AttachedEvent, *, show_commands: bool = True
) -> Iterator[ObservationEvent]:
    """Ask the engines of the traced containers what happened since the attach.

    An engine that does not answer is an observation too, and holds nothing up for
    longer than a part of a second.

    Args:
        attached: When, and which containers.
        show_commands: Whether the commands of ``docker exec`` may be kept.
    """
    if not any(container.runtime == "docker" for container in attached.target.containers):
        return
    # The client takes a while to load: only where there is an engine.
    from tracer.containers.engine_events import SOURCE, read_engine_events

    since_unix_ns = attached.boot_ns + attached.utc_offset_ns
    events, failures = read_engine_events(attached.target.containers, since_unix_ns)
    for failure in failures:
        yield ObservationEvent(attached.boot_ns, SOURCE, None, {"error": failure.message})
    for event in events:
        boot_ns = event["time_unix_ns"] - attached.utc_offset_ns
        yield ObservationEvent(boot_ns, SOURCE, None, _without_secrets(event, show_commands))


def _without_secrets(event: dict[str, Any], show_commands: bool) -> dict[str, Any]:
    detail = event["detail"]
    if detail is None:
        return event
    if not show_commands and str(event["action"]).startswith("exec"):
        return {**event, "detail": None}
    return {**event, "detail": mask_text(detail)}
