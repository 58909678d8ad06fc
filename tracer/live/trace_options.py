"""How a live trace is to be made."""

from __future__ import annotations

from dataclasses import dataclass

from tracer.model.report import DETAIL


@dataclass(frozen=True, slots=True)
class TraceOptions:
    """How to trace.

    Args:
        min_zombie_ns: Zombies shorter than this are ordinary.
        duration_s: End after so long, or None.
        until_ended: End once every container of the target has.
        detail: How many processes that are over are kept in detail; None = all.
        conclude: Decode and correlate what is seen; without it the trace only
            keeps records, at a fraction of the cost.
        show_commands: Keep the command lines of those who send signals and of
            parents of zombies, their secrets masked; False keeps none.
        fold: Emit an uneventful lifetime as one record, when it is over.
    """

    min_zombie_ns: int = 1_000_000_000
    duration_s: float | None = None
    until_ended: bool = True
    detail: int | None = DETAIL
    conclude: bool = True
    show_commands: bool = True
    fold: bool = True
