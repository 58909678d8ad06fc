"""What to change, as rules: each is given only where no fact in hand refutes it.

Every rule says None where it does not apply, and is tested both ways.
"""

from __future__ import annotations

from dataclasses import dataclass

from tracer.correlate.causes import is_fatal_by_default
from tracer.model.claims.hold import Hold, HoldReason
from tracer.model.signals import DEFAULT_IGNORED, SIGTERM, signal_name

_STOP_SIGNALS = {
    "postgres": "SIGINT",
    "nginx": "SIGQUIT",
    "php-fpm": "SIGQUIT",
    "apache2": "SIGWINCH",
    "httpd": "SIGWINCH",
    "systemd": "SIGRTMIN+3",
    "runsvdir": "SIGHUP",
}
"""Programs that end in order on another signal than SIGTERM, or faster."""
_OPTIONS = {"uwsgi": "start it with `--die-on-term`, or set `die-on-term = true`"}
_LONGER_GRACE = (
    "`docker stop -t`, `--stop-timeout`, stop_grace_period in Compose,"
    " terminationGracePeriodSeconds in Kubernetes"
)


@dataclass(frozen=True, slots=True)
class Subject:
    """A process that advice is about.

    Args:
        comm: Its name.
        program: The program it runs, by /proc/PID/exe where that was read.
        is_shell: That is a shell, whatever its name.
        is_init_program: That is an init such as tini.
        is_pid1: It is the container's PID 1.
    """

    comm: str
    program: str
    is_shell: bool = False
    is_init_program: bool = False
    is_pid1: bool = False


def advise_stop_signal(subject: Subject, signo: int) -> str | None:
    """Another STOPSIGNAL: of a table of programs, or of one that ends processes at all."""
    for program, better in _STOP_SIGNALS.items():
        if subject.program.startswith(program) and signal_name(signo) != better:
            return f"Set STOPSIGNAL {better}, on which {program} shuts down cleanly."
    for program, option in _OPTIONS.items():
        if subject.program.startswith(program) and signo == SIGTERM:
            return f"{program} reloads on SIGTERM by default: {option}."
    if signo in DEFAULT_IGNORED and not subject.program.startswith(("apache2", "httpd")):
        return (
            f"Set STOPSIGNAL SIGTERM: the default action of {signal_name(signo)} is to be ignored,"
            f" so it ends only programs that handle it. An init does not change that."
        )
    return None


def advise_init(subject: Subject, signo: int) -> str | None:
    """An init in front: where the default action then ends the program."""
    if not subject.is_pid1 or subject.is_init_program or not is_fatal_by_default(signo):
        return None
    if subject.is_shell:
        return (
            f"An init alone (`docker run --init`) would terminate {subject.comm}, but not the"
            " processes it started: use both `exec` and the init."
        )
    return (
        f"Run an init as PID 1 (`docker run --init`, tini): {subject.comm} is then no longer PID 1,"
        " and the default action applies."
    )


def advise_shell(subject: Subject, signo: int) -> str | None:
    """exec, or a trap with both halves: where a shell is what has to change."""
    if not subject.is_shell:
        return None
    short = signal_name(signo).removeprefix("SIG")
    return (
        "Start the program with `exec`, so that it replaces the shell and receives"
        f" {signal_name(signo)} itself; or start it in the background and forward the signal:"
        f' `program & child=$!; trap \'kill -{short} "$child"\' {short}; wait "$child";'
        ' wait "$child"`'
        " (the trap interrupts the first `wait`; the second one waits for the program to exit)."
    )


def advise_group(
    *, are_in_group: bool | None, have_orderly_parent: bool, need_time: bool = False
) -> str | None:
    """``tini -g``: where the victims are in the process group that it would signal.

    Args:
        are_in_group: Whether they are; None = not known.
        have_orderly_parent: One of them has a parent that handles the signal in order.
        need_time: One of them handles the signal itself: tini waits for its own child alone,
            and would end before it.
    """
    if not are_in_group or have_orderly_parent or need_time:
        return None
    return "Or have an init signal the whole process group (`tini -g`)."


def advise_foreground(names: str) -> str:
    """No daemon: where the victims were adopted by PID 1, as their parent had ended."""
    return (
        f"Run {names} in the foreground (do not daemonize): a background process that PID 1 has"
        " adopted is signalled neither by the process that started it nor, having left its group,"
        " by `tini -g`. Or have a supervisor run each of them."
    )


def advise_longer_grace(hold: Hold) -> str | None:
    """A longer grace: only where the one who held up was getting on with its end."""
    if hold.reason is HoldReason.HANDLING and hold.is_making_headway:
        return (
            "It was making progress: processes ended one after the other. If it only needs more"
            f" time, raise the grace period: {_LONGER_GRACE}."
        )
    return None


def refuse_longer_grace(hold: Hold, comm: str, name: str) -> str | None:
    """Say that a longer grace would not help: where what was seen shows it."""
    reasons = {
        HoldReason.DROPPED: f"{comm} does not act on {name}",
        HoldReason.IGNORED: f"{comm} ignores {name}",
        HoldReason.BLOCKED: f"{comm} blocks {name} and does not dequeue it",
        HoldReason.WENT_ON: f"{comm} keeps running after {name}",
        HoldReason.RAISED_AGAIN: f"{comm} cannot end in this way as PID 1",
    }
    reason = reasons.get(hold.reason)
    if hold.reason is HoldReason.NOT_SIGNALLED and hold.waits_for_shell:
        reason = f"{comm} was not signalled, and the shell waits for it"
    return None if reason is None else f"A longer grace period does not help: {reason}."


def advise_end(hold: Hold, subject: Subject, waiter: Subject | None, signo: int) -> str:
    """What to change about the one who held a stop up.

    Args:
        hold: Who, and why.
        subject: The same process.
        waiter: Its parent that waited for it, or None.
        signo: The stop signal.
    """
    name = signal_name(signo)
    match hold.reason:
        case HoldReason.FROZEN | HoldReason.STOPPED | HoldReason.TRACED:
            return (
                f"Resume {subject.comm} (SIGCONT, `docker unpause`, or detach the tracer) before"
                " stopping it."
            )
        case HoldReason.UNINTERRUPTIBLE | HoldReason.DYING:
            return (
                "Check what the thread is blocked in (/proc/PID/task/TID/stack): an unreachable NFS"
                " server, a failing disk, a frozen file system. No signal ends it, and a longer"
                " grace period helps only if that call returns."
            )
        case HoldReason.NOT_SIGNALLED if waiter is not None and not hold.waits_for_shell:
            return (
                f"Before {waiter.comm} waits for its child {subject.comm}, have it forward {name}"
                " to the child, or terminate the child in another way."
            )
        case HoldReason.UNKNOWN:
            return f"Find out what {subject.comm} is still doing when it is stopped with {name}."
    parts = [refuse_longer_grace(hold, subject.comm, name), advise_longer_grace(hold)]
    to_change = waiter if hold.waits_for_shell and waiter is not None else subject
    if hold.reason is HoldReason.HANDLING:
        parts.insert(0, f"Find out what {subject.comm} is still doing after it receives {name}.")
        if not hold.is_making_headway:
            parts.append("A longer grace period helps only if it is already shutting down.")
        return " ".join(filter(None, [*parts, advise_stop_signal(subject, signo)]))
    change = advise_stop_signal(subject, signo)
    if change is None and hold.reason is HoldReason.NOT_SIGNALLED:
        change = advise_shell(to_change, signo)
    if change is None and hold.reason is HoldReason.DROPPED:
        change = advise_without_handler(subject, signo)
    if change is None and hold.reason is HoldReason.RAISED_AGAIN:
        change = advise_raised_again(subject, signo)
    if change is None:
        change = f"Make {subject.comm} exit on {name}, or set STOPSIGNAL to a signal it exits on."
    return " ".join(filter(None, [*parts, change]))


def advise_raised_again(subject: Subject, signo: int) -> str:
    """What to change where PID 1 sent itself the stop signal to end by its default action."""
    exits = f"install a handler in it that exits on {signal_name(signo)}"
    if subject.is_shell:
        exits = f"have its trap call `exit {128 + signo}` instead"
    return (
        f"Run an init as PID 1 (`docker run --init`, tini): {subject.comm} is then no longer PID 1,"
        f" and the signal that it raises ends it. Or {exits}."
    )


def advise_without_handler(subject: Subject, signo: int) -> str:
    """What to change where the kernel dropped the stop signal at PID 1."""
    name = signal_name(signo)
    parts = [advise_stop_signal(subject, signo), advise_shell(subject, signo)]
    parts.append(advise_init(subject, signo))
    if not subject.is_shell:
        parts.append(f"Or install a {name} handler in {subject.comm}.")
    return " ".join(filter(None, parts))
