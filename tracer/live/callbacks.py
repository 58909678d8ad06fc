"""What a live trace calls while it runs: one object instead of a callback for each occasion."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tracer.live.passed import PassedSink
from tracer.model.annotated import Annotated
from tracer.model.events import AttachedEvent, ObservationEvent

Sink = Callable[[Annotated], None]


@dataclass(frozen=True, slots=True)
class TraceCallbacks:
    """What to call, and when.

    Args:
        sinks: Called with every conclusion, in order of time; but the events of a folded
            lifetime come only when something else happens to it.
        on_starting: Called while the programs compile.
        on_idle: Called when the sinks have been given all there was; returns after
            how many seconds to call it again though nothing happened, or None.
        on_interrupt: Called on the first SIGINT or SIGTERM; by default the trace ends.
        passed_sink: Shows uneventful lifetimes for which no events are made: the sinks do
            not get them. Without it they get every event.
        on_notice: Gets a message when the trace falls behind and when it has caught up,
            when a target ends or is back, and about what else answers to its name.
        observe_at_end: Asked once the trace is over for what others know of it (an
            engine's events): evidence besides the kernel's.
    """

    sinks: tuple[Sink, ...] = ()
    on_starting: Callable[[], None] | None = None
    on_idle: Callable[[], float | None] | None = None
    on_interrupt: Callable[[], None] | None = None
    passed_sink: PassedSink | None = None
    on_notice: Callable[[str], None] = lambda _: None
    observe_at_end: Callable[[AttachedEvent], Iterable[ObservationEvent]] | None = None
