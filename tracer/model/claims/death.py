"""Claims about deaths by signal: who ended whom, why, and what came before."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tracer.model.claims.claim import Claim
from tracer.model.identity import ProcessKey
from tracer.model.signals import Disposition
from tracer.model.verdicts import Cause


class Relation(StrEnum):
    """What the sender of a fatal signal is to its victim."""

    ITSELF = "itself"
    PARENT = "parent"
    """Its own parent at that moment: who must reap it."""
    SUPERVISOR = "supervisor"
    """An ancestor of it in the same container."""
    RUNTIME = "runtime"
    """A container runtime, outside the container."""
    SIDECAR = "sidecar"
    """In another container that shares the PID namespace."""
    INSIDE = "inside"
    OUTSIDE = "outside"
    KERNEL = "kernel"
    """No process sent it: the kernel raised it."""
    UNKNOWN = "unknown"


class Wish(StrEnum):
    """On whose wish a container runtime killed."""

    COMMAND = "command"
    """Of the user of a runtime's client that is in the sender's chain."""
    ENGINE = "engine"
    """Of a client of the engine, which reported the request."""
    SHIM_EXITED = "shim_exited"
    """No one's: containerd cleaned up after the container's shim had exited."""
    EXEC_ENDED = "exec_ended"
    """Of the engine, which ended a process that it had put in (exec, health check)."""
    HEALTH_CHECK = "health_check"
    """The same, and the engine reported that a health check had failed."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent a signal.

    Args:
        key: Who; None where its start is not known.
        host_pid: Its pid on the host.
        comm: Its name.
        chain: The names of its ancestors, nearest first.
        syscall: By which system call, or None.
        command: Its command line, masked and cut, where it was read.
        oom_killer: Its name, where it is a known user-space OOM killer.
    """

    key: ProcessKey | None
    host_pid: int
    comm: str
    chain: tuple[str, ...]
    syscall: str | None
    command: str | None = None
    oom_killer: str | None = None


@dataclass(frozen=True, slots=True)
class EarlierSignal:
    """A signal that the same sender had sent before, which did not end the victim.

    Args:
        signo: Which.
        boot_ns: When.
        disposition: What the victim had arranged for it.
        was_dropped: The kernel dropped it: the victim is an init without handler.

    Units:
        boot_ns: CLOCK_BOOTTIME, ns.
    """

    signo: int
    boot_ns: int
    disposition: Disposition
    was_dropped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeathClaim(Claim):
    """A process died of a signal.

    Args:
        victim: Who.
        signo: Of which signal.
        died_ns: When; None = not known.
        sent_ns: When the signal was sent; None where that was not seen.
        cause: Why.
        relation: What the sender is to the victim.
        sender: Who sent it; None where the kernel raised it.
        earlier: What the sender had sent before, the newest last.
        wish: Of a runtime's kill, on whose wish.
        lived_ns: How long the victim had lived when it was sent; None = not known.
        cpu_limit_s: The CPU time limit that it had reached.
        is_kernels_own: The kernel raised it in the victim's own context, and no reason
            shows: a BPF program's bpf_send_signal(), or another facility.

    Units:
        died_ns, sent_ns: CLOCK_BOOTTIME, ns; lived_ns: ns.
    """

    victim: ProcessKey
    signo: int
    died_ns: int | None
    sent_ns: int | None
    cause: Cause
    relation: Relation
    sender: Sender | None = None
    earlier: tuple[EarlierSignal, ...] = ()
    wish: Wish | None = None
    lived_ns: int | None = None
    cpu_limit_s: int | None = None
    is_kernels_own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedClaim(Claim):
    """Signals to an init without handler that the kernel dropped, no stop signals.

    Args:
        init: The init.
        signo: Which signal.
        count: How often.
        first_ns: The first time.
        last_ns: The last time.
        cause: Why it was sent; of those that a process sent, ``kill``.
        sender: Who sent the first; None where the kernel raised it.
        is_traced: A tracer was attached: the signal is queued, and dropped when the
            tracer lets it through.
        is_raised_again: It had handled the stop signal, and sent it to itself to end
            by its default action.

    Units:
        first_ns, last_ns: CLOCK_BOOTTIME, ns.
    """

    init: ProcessKey
    signo: int
    count: int
    first_ns: int
    last_ns: int
    cause: Cause
    sender: Sender | None = None
    is_traced: bool = False
    is_raised_again: bool = False
