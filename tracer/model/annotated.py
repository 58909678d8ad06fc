"""An event together with what the correlator concluded about it."""

from __future__ import annotations

from tracer.model.events import Event, Precision
from tracer.model.fact import fact
from tracer.model.target import Container
from tracer.model.verdicts import Cause, ReapKind


@fact
class Annotated:
    """One line of the live view and of ``--json``.

    ``event`` is as the kernel emitted it; the rest was concluded. Fields that do
    not apply to the event's kind are None.

    Args:
        container: The container the subject belongs to.
        cause: For an exit by signal, and for a signal.
        sender_is_user: For a signal: ``event.actor`` is a sender (else it is
            only the context the kernel raised it in).
        zombie_ns: For a reap: how long it was a zombie, ns.
        reap_kind: For a reap.
        reaper_host_pid: For a reap.
        reaper_comm: For a reap.
        precision: For a reap: of its time.
        is_turning_point: Worth showing when little fits: a stop's begin and
            end, a SIGKILL, a death by signal, an OOM.
        held_up: For a reading of a stop that is not over: who holds it up and why, in
            words.
    """

    event: Event
    container: Container | None = None
    cause: Cause | None = None
    sender_is_user: bool | None = None
    zombie_ns: int | None = None
    reap_kind: ReapKind | None = None
    reaper_host_pid: int | None = None
    reaper_comm: str | None = None
    precision: Precision | None = None
    is_turning_point: bool = False
    held_up: str | None = None
