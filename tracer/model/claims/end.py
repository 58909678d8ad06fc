"""The claim of how a process ended, and who brought that about."""

from __future__ import annotations

from dataclasses import dataclass

from tracer.model.claims.claim import Claim
from tracer.model.events import SignalEvent
from tracer.model.identity import Actor, ProcessKey
from tracer.model.verdicts import Cause, ExitCodeOrigin
from tracer.model.wait_status import WaitStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessEnd(Claim):
    """How one process ended.

    Args:
        about: The process.
        comm: Its newest name.
        boot_ns: When; None where no record has it.
        status: As waitpid returns it; None where no record has it.
        cause: Of a death by signal; None of any other end.
        signal: The signal it died of, where it is known which.
        sender: Who sent that, if a process did.
        trigger: In whose context the kernel raised it, if the kernel did.
        is_by_parent: Its own parent sent it.
        passed_on: The child whose death its exit code passes on.
        code_origin: Where its exit code came from; None of a code up to 128.

    Units:
        boot_ns: CLOCK_BOOTTIME, ns.
    """

    about: ProcessKey
    comm: str
    boot_ns: int | None
    status: WaitStatus | None
    cause: Cause | None
    signal: SignalEvent | None = None
    sender: Actor | None = None
    trigger: Actor | None = None
    is_by_parent: bool = False
    passed_on: ProcessKey | None = None
    code_origin: ExitCodeOrigin | None = None
