"""Every verdict in plain words: what the reports say instead of the code names."""

from __future__ import annotations

from collections.abc import Iterable

from tracer.model.events import SigchldAction
from tracer.model.target import Container
from tracer.model.verdicts import ExitCodeOrigin, ReapKind, StopSignalDisposition
from tracer.model.zombie_scan import ZombieBlame

REAP_MEANING: dict[ReapKind, str] = {
    ReapKind.TEARDOWN: "reaped by namespace teardown",
    ReapKind.AUTO: "released by the kernel as it exited, without becoming a zombie",
    ReapKind.ADOPTER: "reaped by the process that adopted it",
    ReapKind.PARENT: "reaped by its parent",
    ReapKind.UNKNOWN: "reaped; by which process is unknown",
}
"""What each end of a zombie means, as the tail of a sentence about it."""

SIGCHLD_MEANING: dict[SigchldAction, str] = {
    SigchldAction.CAUGHT: "has a SIGCHLD handler",
    SigchldAction.DEFAULT: "has no SIGCHLD handler",
    SigchldAction.IGNORED: "ignores SIGCHLD: children that exit from then on leave no zombie",
    SigchldAction.UNKNOWN: "",
}
"""What a parent does when notified of a child's exit, with the parent as subject."""

TRIGGER_MEANING: dict[str, str] = {
    "stop_signal": "a stop signal sent to {init}",
    "sigkill": "SIGKILL sent to {init}",
    "cgroup_kill": "a write to cgroup.kill",
    "oom": "the OOM killer, which chose {init}",
    "init_exit": "the exit of {init}",
    "unknown": "the end of {init}, whose reason was not captured",
}
"""What began a stop, with a place for what to call init."""

HOOK_MEANING: dict[str, str] = {
    "exit": "process exits",
    "exit_spare": "exits that the exit hook missed",
    "exit_begin": "the start of a process's exit",
    "reap": "the exact time of a reap",
    "free": "zombies that were reaped",
    "zombie_reap": "exact reap times of old zombies",
    "signal": "signals and their senders",
    "deliver": "signal delivery",
    "fork": "new processes",
    "exec": "executed programs",
    "exec_spare": "execs that the exec hook missed",
    "teardown_begin": "start of a PID namespace's teardown",
    "teardown_end": "end of a PID namespace's teardown",
    "oom": "OOM kills",
    "fork_failed": "failed forks and their callers",
    "seed": "processes that existed before the trace",
    "folded": "releases that no hook saw",
}
"""What each row of the hook plan sees; rows not named here speak for themselves."""

BLAME_MEANING: dict[ZombieBlame, str] = {
    ZombieBlame.LEADER: (
        "Its main thread has exited while others run. It cannot be reaped until they exit."
    ),
    ZombieBlame.TRACER: "A debugger or tracer is attached to it and has not waited for it yet.",
    ZombieBlame.INJECTED: (
        "Its parent is outside its PID namespace: docker exec, nsenter or a probe injected it, and "
        "PID 1 of the namespace cannot reap it."
    ),
    ZombieBlame.INIT: (
        "PID 1 of its namespace must reap it and does not. The kernel hands orphans to PID 1 too."
    ),
    ZombieBlame.PARENT: "Its parent is alive and does not reap it.",
    ZombieBlame.UNKNOWN: "The process that must reap it is not visible from here.",
}
"""Why a zombie is still there, in a sentence or two."""

BLAME_ADVICE: dict[ZombieBlame, str] = {
    ZombieBlame.LEADER: (
        "This is not a leak. Find out why the other threads keep running; the process exits with "
        "the last of them."
    ),
    ZombieBlame.TRACER: "Terminate or detach the tracer; the zombie then goes to its real parent.",
    ZombieBlame.INJECTED: (
        "The process that started it from outside must wait for it: fix or terminate that process. "
        "Until then, stopping the container may hang."
    ),
    ZombieBlame.INIT: (
        "Run an init that reaps orphans as PID 1 (docker run --init, tini), or have PID 1 call "
        "waitpid(-1, ..., WNOHANG) in a loop on SIGCHLD."
    ),
    ZombieBlame.PARENT: (
        "Have the parent call waitpid(-1, ..., WNOHANG) in a loop on SIGCHLD, or ignore SIGCHLD. "
        "Until it is fixed, terminating the parent hands its zombies to the process that adopts "
        "orphans."
    ),
    ZombieBlame.UNKNOWN: "Run this again as root, from the host's PID namespace.",
}
"""What to do about it."""

_SHELL_BASE = 128
_INIT = "PID 1"


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


def explain_exit_code(
    exit_code: int,
    signal_name: str | None,
    origin: ExitCodeOrigin | None,
    child_host_pid: int | None = None,
) -> str:
    """Explain an exit code, which may look like a death by signal.

    Args:
        exit_code: As the process chose it.
        signal_name: The signal that ``exit_code - 128`` names, if it names one.
        origin: Where it came from.
        child_host_pid: The child whose death it passes on, where it is known which.
    """
    if signal_name is None:
        return f"It exited with code {exit_code}."
    code = f"{exit_code} = {_SHELL_BASE} + {exit_code - _SHELL_BASE}"
    if origin is ExitCodeOrigin.PASSED_ON:
        who = f"host pid {child_host_pid}" if child_host_pid is not None else "a child"
        return f"It exited with code {code}: it reported that {who} had died of {signal_name}."
    if origin is ExitCodeOrigin.HANDLED_SIGNAL:
        return f"It exited with code {code}: it handled {signal_name} and chose this code itself."
    if origin is ExitCodeOrigin.UNKNOWN:
        return f"It exited with code {code}; none of its children was seen dying of {signal_name}."
    return f"It exited with code {code}."


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
        return f"{signal} was not sent to it"
    if disposition is StopSignalDisposition.DEFAULT and dropped:
        return f"{signal} was sent to it; it has no handler, so the kernel dropped it"
    return {
        StopSignalDisposition.CAUGHT: f"{signal} was sent to it; it has a handler",
        StopSignalDisposition.DEFAULT: f"{signal} was sent to it; it has no handler",
        StopSignalDisposition.IGNORED: f"{signal} was sent to it, and it ignores the signal",
        StopSignalDisposition.BLOCKED: (
            f"{signal} was sent to it while blocked (as sigwait and signalfd require)"
        ),
        StopSignalDisposition.NOT_SENT: f"{signal} was not sent to it",
        StopSignalDisposition.UNKNOWN: f"{signal} was sent to it",
    }[disposition]
