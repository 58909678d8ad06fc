"""Every verdict in plain words: what the reports say instead of the code names."""

from __future__ import annotations

from collections.abc import Iterable

from tracer.model.events import SigchldAction
from tracer.model.target import Container
from tracer.model.verdicts import Cause, ReapKind, Severity, StopSignalDisposition
from tracer.model.zombie_scan import ZombieBlame
from tracer.report.page import Style

CAUSE_SHORT: dict[Cause, str] = {
    Cause.PIDNS_TEARDOWN: "PID 1 had ended, its namespace was taken down",
    Cause.STOP_SIGNAL: "the stop signal",
    Cause.GRACE_EXPIRED: "the grace period ran out",
    Cause.RUNTIME_KILL: "killed by the container runtime",
    Cause.OOM: "out of memory",
    Cause.CGROUP_KILL: "its whole cgroup was killed",
    Cause.KILL: "killed by another process",
    Cause.SELF: "sent to itself",
    Cause.PARENT_DEATH: "its parent ended",
    Cause.TRACER_EXIT: "its debugger ended",
    Cause.RLIMIT_CPU: "CPU time limit used up",
    Cause.FAULT: "it crashed",
    Cause.SECCOMP: "forbidden system call",
    Cause.TERMINAL: "from its terminal",
    Cause.UNKNOWN: "why is not known",
}
"""One phrase a cause, for a line of the live view."""

CAUSE_MEANING: dict[Cause, str] = {
    Cause.PIDNS_TEARDOWN: (
        "PID 1 had ended, so the kernel killed whatever was left in its PID namespace. "
        "No process sent this."
    ),
    Cause.STOP_SIGNAL: "The stop signal ended it, as it is meant to.",
    Cause.GRACE_EXPIRED: (
        "The stop signal had not ended it when the grace period ran out, so it was killed."
    ),
    Cause.RUNTIME_KILL: "The container runtime killed it; no stop signal came before.",
    Cause.OOM: (
        "Memory ran out (its own limit or the host's) and the kernel's out-of-memory killer "
        "chose it."
    ),
    Cause.CGROUP_KILL: (
        "Somebody wrote to its cgroup's cgroup.kill file, which kills every process in there."
    ),
    Cause.KILL: "Another process sent it the signal.",
    Cause.SELF: "It sent the signal to itself, as abort() does.",
    Cause.PARENT_DEATH: (
        "Its parent ended, and it had asked to be signalled then (PR_SET_PDEATHSIG)."
    ),
    Cause.TRACER_EXIT: (
        "The debugger or tracer attached to it ended and took it along (PTRACE_O_EXITKILL)."
    ),
    Cause.RLIMIT_CPU: "It had used up the CPU time it was allowed (RLIMIT_CPU).",
    Cause.FAULT: "It crashed: the CPU refused what it did, such as touching memory not its own.",
    Cause.SECCOMP: "It made a system call that its seccomp filter forbids.",
    Cause.TERMINAL: "Its terminal sent it: a key such as Ctrl-C, or the terminal went away.",
    Cause.UNKNOWN: "Why is not known: what would tell was not seen.",
}
"""What each cause of a death by signal means, as a sentence or two."""

REAP_MEANING: dict[ReapKind, str] = {
    ReapKind.TEARDOWN: "cleared away after PID 1 had ended",
    ReapKind.AUTO: "cleared away by itself: its parent wants no exit statuses",
    ReapKind.ADOPTER: "collected by the process that inherited it",
    ReapKind.PARENT: "collected by its parent",
    ReapKind.UNKNOWN: "gone; who collected it is not known",
}
"""What each end of a zombie means, as the tail of a sentence about it."""

SIGCHLD_MEANING: dict[SigchldAction, str] = {
    SigchldAction.CAUGHT: "handles SIGCHLD, the signal that says a child ended",
    SigchldAction.DEFAULT: "has no handler for SIGCHLD, the signal that says a child ended",
    SigchldAction.IGNORED: "ignores SIGCHLD: children that end from then on leave no zombie",
    SigchldAction.UNKNOWN: "",
}
"""What a parent does when told of a child's end, with the parent as subject."""

TRIGGER_MEANING: dict[str, str] = {
    "stop_signal": "a stop signal sent to {init}",
    "sigkill": "SIGKILL sent to {init}",
    "cgroup_kill": "a write to cgroup.kill",
    "oom": "the out-of-memory killer, which chose {init}",
    "init_exit": "{init}, which ended by itself",
}
"""What began a stop, with a place for what to call init."""

HOOK_MEANING: dict[str, str] = {
    "exit": "processes that end",
    "exit_spare": "ends that hook missed",
    "exit_begin": "when an end begins",
    "reap": "the moment a zombie is collected",
    "free": "zombies that were collected",
    "signal": "signals, and who sends them",
    "deliver": "signals being acted upon",
    "fork": "new processes",
    "exec": "programs started",
    "exec_spare": "starts that hook missed",
    "teardown_begin": "PID namespaces taken down, from",
    "teardown_end": "PID namespaces taken down, until",
    "oom": "out-of-memory kills",
    "fork_failed": "forks that fail, and whose",
    "seed": "processes there before",
}
"""What each row of the hook plan sees; rows not named here speak for themselves."""

BLAME_MEANING: dict[ZombieBlame, str] = {
    ZombieBlame.LEADER: (
        "Its first thread has ended while others live on. Nobody can collect it before they end."
    ),
    ZombieBlame.TRACER: "A debugger or tracer holds it: it has not waited for it yet.",
    ZombieBlame.INJECTED: (
        "Its parent is outside its PID namespace: it was put in by docker exec, nsenter or a "
        "probe, and PID 1 in there cannot collect it."
    ),
    ZombieBlame.INIT: (
        "PID 1 of its namespace has to collect it and does not. Processes whose parent has died "
        "end up there too."
    ),
    ZombieBlame.PARENT: "Its parent lives and does not collect it.",
    ZombieBlame.UNKNOWN: "Who has to collect it cannot be seen from here.",
}
"""Why a zombie is still there, in a sentence or two."""

BLAME_ADVICE: dict[ZombieBlame, str] = {
    ZombieBlame.LEADER: (
        "No leak. Find out why the other threads go on; the process ends with the last of them."
    ),
    ZombieBlame.TRACER: "End or detach the tracer; the zombie then goes to its real parent.",
    ZombieBlame.INJECTED: (
        "Whoever started it from outside has to wait for it: mend or end that process. Stopping "
        "the container may hang until then."
    ),
    ZombieBlame.INIT: (
        "Put an init that collects orphans in front (docker run --init, tini), or have PID 1 "
        "call waitpid(-1, ..., WNOHANG) in a loop on SIGCHLD."
    ),
    ZombieBlame.PARENT: (
        "Have the parent call waitpid(-1, ..., WNOHANG) in a loop on SIGCHLD, or ignore SIGCHLD. "
        "Until it is mended, ending the parent hands its zombies on to whoever collects orphans."
    ),
    ZombieBlame.UNKNOWN: "Look again as root, from the host's own PID namespace.",
}
"""What to do about it."""

SEVERITY_STYLE: dict[Severity, Style] = {
    Severity.ERROR: Style.ERROR,
    Severity.WARNING: Style.WARNING,
    Severity.INFO: Style.INFO,
}

_SHELL_BASE = 128
_INIT = "PID 1"

_RAISED_AS: dict[Cause, str] = {
    Cause.PIDNS_TEARDOWN: "raised by the kernel as {trigger} ended",
    Cause.PARENT_DEATH: "raised by the kernel as {trigger} ended",
    Cause.TRACER_EXIT: "raised by the kernel as {trigger} ended",
    Cause.OOM: "raised by the kernel as {trigger} asked for memory",
    Cause.CGROUP_KILL: "cgroup.kill was written by {trigger}",
}


def init_word(containers: Iterable[Container], container_id: str | None) -> str:
    """What to call a container's init: PID 1, unless it shares its PID namespace."""
    is_shared = any(
        container.id == container_id and not container.has_own_pidns for container in containers
    )
    return "init" if is_shared else _INIT


def explain_sender(comm: str, host_pid: int | None, chain: tuple[str, ...]) -> str:
    """Name a sender and its ancestors, nearest first: ``runc[7] <- containerd-shim``."""
    who = comm if host_pid is None else f"{comm}[{host_pid}]"
    return " <- ".join((who, *chain))


def explain_trigger(cause: Cause | None, comm: str, host_pid: int | None) -> str:
    """Say in whose context the kernel raised a signal, in words that fit its cause."""
    trigger = comm if host_pid is None else f"{comm}[{host_pid}]"
    shape = _RAISED_AS.get(cause or Cause.UNKNOWN, "raised by the kernel while {trigger} ran")
    return shape.format(trigger=trigger)


def explain_exit_code(exit_code: int, signal_name: str | None) -> str | None:
    """Explain an exit code that looks like a death by signal, or return None.

    Args:
        exit_code: As the process chose it.
        signal_name: The signal that ``exit_code - 128`` names, if it names one.
    """
    if signal_name is None:
        return None
    return (
        f"It ended by itself; {exit_code} = {_SHELL_BASE} + {exit_code - _SHELL_BASE} is how a "
        f"shell passes on that a child died of {signal_name}."
    )


def explain_stop_signal(
    disposition: StopSignalDisposition, signal: str, *, seen: bool, dropped: bool
) -> str | None:
    """Say what a process did about its stop's signal.

    Args:
        disposition: What the process had arranged for it.
        signal: The signal's name.
        seen: Whether it was sent to this process.
        dropped: Whether the kernel dropped it, as it does for a PID 1 without handler.

    Returns:
        A phrase, or None where there is nothing to say.
    """
    if not seen:
        if disposition is StopSignalDisposition.UNKNOWN:
            return None
        return f"{signal} was never sent to it"
    if disposition is StopSignalDisposition.DEFAULT and dropped:
        return f"{signal} was sent to it, but it has no handler: the kernel dropped it"
    return {
        StopSignalDisposition.CAUGHT: f"{signal} reached its handler",
        StopSignalDisposition.DEFAULT: f"{signal} was sent to it; it has no handler",
        StopSignalDisposition.IGNORED: f"{signal} was sent to it, and it ignores that",
        StopSignalDisposition.BLOCKED: (
            f"{signal} was sent to it while blocked (a sigwait loop takes it so)"
        ),
        StopSignalDisposition.NOT_SENT: f"{signal} was never sent to it",
        StopSignalDisposition.UNKNOWN: f"{signal} was sent to it",
    }[disposition]
