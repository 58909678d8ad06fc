"""What each cause of a death by signal is called: in a line, a clause and a sentence."""

from __future__ import annotations

from dataclasses import dataclass

from tracer.model.verdicts import Cause

_WHILE_RUNNING = "sent by the kernel while {trigger} was running"
_ON_EXIT = "sent by the kernel when {trigger} exited"


@dataclass(frozen=True, slots=True)
class CauseWords:
    """The words for one cause.

    Args:
        phrase: A few words, for a line or a cell: ``out of memory``.
        adjunct: Behind "killed" or "died of SIGTERM": ``by the OOM killer``.
        clause: A clause of its own, behind a colon.
        sentence: A sentence or two, with the process as "it".
        raised: For a signal of the kernel's own: in whose context it was raised, with
            a place for ``trigger``.
    """

    phrase: str
    adjunct: str
    clause: str
    sentence: str
    raised: str = _WHILE_RUNNING


CAUSES: dict[Cause, CauseWords] = {
    Cause.PIDNS_TEARDOWN: CauseWords(
        phrase="namespace teardown after PID 1 exited",
        adjunct="by the kernel in namespace teardown",
        clause="the kernel kills all remaining processes when PID 1 exits",
        sentence=(
            "PID 1 had exited, so the kernel killed all remaining processes in its PID namespace."
            " No process sent this signal."
        ),
        raised=_ON_EXIT,
    ),
    Cause.STOP_SIGNAL: CauseWords(
        phrase="the stop signal",
        adjunct="by the stop signal",
        clause="this was the stop signal",
        sentence="The stop signal terminated it.",
    ),
    Cause.GRACE_EXPIRED: CauseWords(
        phrase="the grace period expired",
        adjunct="by SIGKILL after the stop signal",
        clause="the stop signal had not ended it by then",
        sentence="SIGKILL followed because the stop signal had not stopped the container by then.",
    ),
    Cause.RUNTIME_KILL: CauseWords(
        phrase="killed by the container runtime",
        adjunct="by the container runtime",
        clause="the container runtime killed it",
        sentence="The container runtime killed it; no stop signal was seen before that.",
    ),
    Cause.OOM: CauseWords(
        phrase="out of memory",
        adjunct="by the OOM killer",
        clause="the kernel's OOM killer chose it to free memory",
        sentence=(
            "Memory ran out (its own limit or the host's), and the kernel's OOM killer chose it."
        ),
        raised="sent by the kernel when {trigger} requested memory",
    ),
    Cause.CGROUP_KILL: CauseWords(
        phrase="its cgroup was killed (cgroup.kill)",
        adjunct="through cgroup.kill",
        clause="a process wrote to its cgroup's cgroup.kill",
        sentence=(
            "A process wrote to its cgroup's cgroup.kill file, which kills every process in the"
            " cgroup."
        ),
        raised="{trigger} wrote to cgroup.kill",
    ),
    Cause.KILL: CauseWords(
        phrase="killed by another process",
        adjunct="by another process",
        clause="another process sent the signal",
        sentence="Another process sent it the signal.",
    ),
    Cause.SELF: CauseWords(
        phrase="it sent the signal to itself",
        adjunct="by a signal it sent to itself",
        clause="it sent the signal to itself",
        sentence="It sent the signal to itself, as abort() does.",
    ),
    Cause.PARENT_DEATH: CauseWords(
        phrase="its parent exited (PR_SET_PDEATHSIG)",
        adjunct="because its parent exited (PR_SET_PDEATHSIG)",
        clause="it had asked for this signal on its parent's exit (PR_SET_PDEATHSIG)",
        sentence=(
            "Its parent exited, and it had asked to be signalled when that happens"
            " (PR_SET_PDEATHSIG)."
        ),
        raised=_ON_EXIT,
    ),
    Cause.TRACER_EXIT: CauseWords(
        phrase="its tracer exited (PTRACE_O_EXITKILL)",
        adjunct="because its tracer exited (PTRACE_O_EXITKILL)",
        clause="its tracer exited, and had asked for that (PTRACE_O_EXITKILL)",
        sentence=(
            "The debugger or tracer attached to it exited, which kills the traced process"
            " (PTRACE_O_EXITKILL)."
        ),
        raised=_ON_EXIT,
    ),
    Cause.RLIMIT_CPU: CauseWords(
        phrase="CPU time limit exceeded",
        adjunct="by its CPU time limit",
        clause="it exceeded its CPU time limit (RLIMIT_CPU)",
        sentence="It exceeded its CPU time limit (RLIMIT_CPU).",
    ),
    Cause.FAULT: CauseWords(
        phrase="it crashed",
        adjunct="because it crashed",
        clause="it crashed",
        sentence=("It crashed: the CPU raised an exception, for example on invalid memory access."),
    ),
    Cause.SECCOMP: CauseWords(
        phrase="system call denied by seccomp",
        adjunct="by a seccomp filter",
        clause="its seccomp filter forbids the system call it made",
        sentence="It made a system call that its seccomp filter forbids.",
    ),
    Cause.TERMINAL: CauseWords(
        phrase="sent by its terminal",
        adjunct="by its terminal",
        clause="its terminal sent the signal",
        sentence=(
            "Its terminal sent the signal: a key such as Ctrl-C was pressed, or the terminal"
            " closed."
        ),
    ),
    Cause.UNKNOWN: CauseWords(
        phrase="cause unknown",
        adjunct="cause unknown",
        clause="the cause is unknown",
        sentence="The cause is unknown: the events that would show it were not captured.",
    ),
}
"""The one table of causes; every output takes its words from it."""

KERNELS_OWN = (
    "The kernel raised the signal in the process's own context, for no reason that is known: a BPF"
    " program (bpf_send_signal) or another kernel facility."
)
"""What is known where the kernel raised it in its target's own context, cause unknown."""
KERNELS_OWN_CLAUSE = (
    "raised in its own context for no reason that is known: a BPF program (bpf_send_signal) or"
    " another kernel facility"
)
"""The same, behind a colon."""


def explain_trigger(cause: Cause | None, comm: str, host_pid: int | None) -> str:
    """Say in whose context the kernel raised a signal, in words that fit its cause."""
    trigger = comm if host_pid is None else f"{comm}[{host_pid}]"
    return CAUSES[cause or Cause.UNKNOWN].raised.format(trigger=trigger)
