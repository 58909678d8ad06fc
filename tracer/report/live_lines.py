"""Which events deserve a line of the live view, and what the line says."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tracer.model.annotated import Annotated
from tracer.model.events import (
    AttachedEvent,
    DeliverEvent,
    ExecEvent,
    ExitEvent,
    ForkEvent,
    ForkFailedEvent,
    LifetimeEvent,
    LossEvent,
    ObservationEvent,
    OomEvent,
    ProcessEvent,
    ReapEvent,
    SignalEvent,
    TeardownEvent,
    TeardownPhase,
)
from tracer.model.identity import ProcessSnapshot
from tracer.model.signals import DEFAULT_IGNORED, Disposition, SignalResult, signal_name
from tracer.model.verdicts import ReapKind
from tracer.model.wait_status import WaitStatus
from tracer.report.jsonlines import is_sent_by_process
from tracer.report.page import Style
from tracer.wording.causes import CAUSES, explain_trigger
from tracer.wording.times import format_duration
from tracer.wording.verdicts import (
    REAP_MEANING,
    explain_sender,
)

_SHELL_BASE = 128


@dataclass(frozen=True, slots=True)
class LiveLine:
    """A sentence about one process, so made that equal ones can be counted.

    It reads ``label before comm[pid] after``; several whose pid and zombie time
    alone differ read ``label before 7 x comm after``.
    """

    boot_ns: int
    label: str
    before: str
    comm: str | None
    host_pid: int | None
    after: str
    style: Style
    zombie_ns: int | None = None

    @property
    def group(self) -> tuple[str, str, str | None, str]:
        """Equal for lines that can be counted as one."""
        return (self.label, self.before, self.comm, self.after)

    def sentence(self, count: int = 1, longest_ns: int | None = None) -> str:
        """Write the sentence for one process, or for ``count`` of them.

        Args:
            count: How many.
            longest_ns: The longest zombie time among them, this one's the shortest.
        """
        if self.comm is None:
            who = ""
        elif count > 1:
            who = f"{count} x {self.comm}"
        else:
            who = self.comm if self.host_pid is None else f"{self.comm}[{self.host_pid}]"
        times = f" (x {count})" if count > 1 and self.comm is None else ""
        return f"{self.before}{who}{self.after}{times}{self._lasted(longest_ns)}"

    def _lasted(self, longest_ns: int | None) -> str:
        if self.zombie_ns is None:
            return ""
        shortest = format_duration(self.zombie_ns)
        longest = shortest if longest_ns is None else format_duration(longest_ns)
        lasted = shortest if shortest == longest else f"{shortest} .. {longest}"
        return f"; a zombie for {lasted}"


@dataclass(frozen=True, slots=True)
class LiveRules:
    """What is shown.

    Args:
        signals: Show signals of these numbers only, and all of them; None
            leaves the choice to the rules.
        min_zombie_ns: A zombie reaped after longer than this gets a line.
        verbose: Show every event.
        show_container: Say which container a process belongs to.
    """

    signals: frozenset[int] | None = None
    min_zombie_ns: int = 1_000_000_000
    verbose: bool = False
    show_container: bool = False

    def line_of(self, annotated: Annotated) -> LiveLine | None:
        """Write the line an event deserves, or None for background."""
        entry = _WRITERS.get(type(annotated.event))
        if entry is None or not self._is_worth_it(annotated):
            return None
        return entry(annotated, self)

    def subject(self, annotated: Annotated, process: ProcessSnapshot) -> str:
        """What to call a process."""
        if self.show_container and annotated.container is not None:
            return f"{annotated.container.label}/{process.comm}"
        return process.comm

    def is_long_zombie(self, annotated: Annotated) -> bool:
        """Whether a release ends a long zombie; where no hook saw it, time says nothing."""
        if annotated.is_turning_point:
            return True
        is_found = getattr(annotated.event, "seen_boot_ns", None) is not None
        return not is_found and (annotated.zombie_ns or 0) >= self.min_zombie_ns

    def _is_worth_it(self, annotated: Annotated) -> bool:
        event = annotated.event
        if self.signals is not None and isinstance(event, (SignalEvent, DeliverEvent)):
            return event.signo in self.signals and isinstance(event, SignalEvent)
        if self.verbose or annotated.is_turning_point:
            return True
        match event:
            case ExitEvent():
                return _is_exit_worth_it(event)
            case LifetimeEvent():
                return _is_code_worth_it(event.status)
            case ReapEvent():
                return self.is_long_zombie(annotated)
            case SignalEvent():
                return (
                    not event.is_notification
                    and not event.actor_is_self
                    and event.signo not in DEFAULT_IGNORED
                    and is_sent_by_process(annotated)
                )
            case ObservationEvent():
                return annotated.held_up is not None
            case AttachedEvent() | TeardownEvent() | OomEvent() | ForkFailedEvent() | LossEvent():
                return True
            case _:
                return False


def _is_exit_worth_it(event: ExitEvent) -> bool:
    if event.live_threads > 0:
        return False
    if event.status.signo is not None or event.process.is_init:
        return True
    return _is_code_worth_it(event.status)


def _is_code_worth_it(status: WaitStatus | None) -> bool:
    return status is not None and (status.exit_code or 0) > _SHELL_BASE


def _attached(annotated: Annotated, _: LiveRules) -> LiveLine:
    event: AttachedEvent = annotated.event  # type: ignore[assignment]
    return LiveLine(
        event.boot_ns,
        "watching",
        event.target.description,
        None,
        None,
        "",
        Style.GOOD,
    )


def _exit(annotated: Annotated, rules: LiveRules) -> LiveLine | None:
    event: ExitEvent = annotated.event  # type: ignore[assignment]
    if event.live_threads > 0:
        return None
    status = event.status
    is_init = " (PID 1)" if event.process.is_init else ""
    if status.signo is not None:
        label, style = "killed", Style.ERROR
        after = f"{is_init} died of {status.signal_name}"
        if annotated.cause is not None:
            after += f": {CAUSES[annotated.cause].phrase}"
        if status.core_dumped:
            after += " (core dumped)"
    else:
        label = "exited"
        style = Style.STRONG if is_init else Style.PLAIN
        after = f"{is_init} exited with code {status.exit_code}"
    return _about(annotated, rules, label, after, style)


def _lifetime(annotated: Annotated, rules: LiveRules) -> LiveLine:
    event: LifetimeEvent = annotated.event  # type: ignore[assignment]
    if annotated.is_turning_point:
        return _reap(annotated, rules)
    code = event.status.exit_code if event.status is not None else None
    line = _about(annotated, rules, "ended", f" ended with code {code}", Style.PLAIN)
    return replace(line, boot_ns=event.exit_ns or event.boot_ns)


def _reap(annotated: Annotated, rules: LiveRules) -> LiveLine:
    kind = annotated.reap_kind or ReapKind.UNKNOWN
    after = f" {REAP_MEANING[kind]}"
    if annotated.reaper_comm is not None and kind in (ReapKind.PARENT, ReapKind.ADOPTER):
        after += f", {_named(annotated.reaper_comm, annotated.reaper_host_pid)}"
    style = Style.WARNING if rules.is_long_zombie(annotated) else Style.PLAIN
    line = _about(annotated, rules, "reaped", after, style)
    return replace(line, zombie_ns=annotated.zombie_ns or None)


def _signal(annotated: Annotated, rules: LiveRules) -> LiveLine:
    event: SignalEvent = annotated.event  # type: ignore[assignment]
    actor = event.actor
    if event.is_notification:
        sender = " (a child exited)"
    elif event.actor_is_self and is_sent_by_process(annotated):
        sender = " from itself"
    elif is_sent_by_process(annotated):
        sender = f" from {explain_sender(actor.comm, actor.host_pid, actor.chain)}"
    else:
        sender = f", {explain_trigger(annotated.cause, actor.comm, actor.host_pid)}"
    if event.repeats and event.repeats_since_ns is not None:
        over = format_duration(event.boot_ns - event.repeats_since_ns)
        sender += f", and {event.repeats} like it in {over}"
    is_init = " (PID 1)" if event.process.is_init else ""
    fate = _signal_fate(event)
    style = Style.WARNING if annotated.is_turning_point else Style.PLAIN
    return _about(
        annotated,
        rules,
        "signal",
        f"{is_init}{sender}{f': {fate}' if fate else ''}",
        style,
        before=f"{signal_name(event.signo)} to ",
    )


def _signal_fate(event: SignalEvent) -> str:
    if event.target_live_threads == 0 and event.target_exit_state:
        return "it had already exited"
    if event.result is SignalResult.IGNORED:
        if event.target_unkillable and event.disposition is Disposition.DEFAULT:
            return "dropped: PID 1 has no handler"
        return "ignored"
    return {
        SignalResult.ALREADY_PENDING: "already pending",
        SignalResult.OVERFLOW: "refused: too many are pending",
        SignalResult.LOST_INFO: "its details were lost: too many are pending",
    }.get(
        event.result,
        {
            Disposition.CAUGHT: "it has a handler",
            Disposition.BLOCKED: "blocked",
        }.get(event.disposition, ""),
    )


def _oom(annotated: Annotated, rules: LiveRules) -> LiveLine:
    event: OomEvent = annotated.event  # type: ignore[assignment]
    asker = _named(event.actor.comm, event.actor.host_pid)
    after = f" was chosen by the OOM killer; {asker} had requested memory"
    return _about(annotated, rules, "oom", after, Style.ERROR)


def _teardown(annotated: Annotated, rules: LiveRules) -> LiveLine:
    event: TeardownEvent = annotated.event  # type: ignore[assignment]
    if event.phase is TeardownPhase.BEGIN:
        after = " exited: the kernel kills the remaining processes in its PID namespace"
    else:
        after = ": its PID namespace is now empty"
    return _about(annotated, rules, "teardown", after, Style.STRONG)


def _fork_failed(annotated: Annotated, rules: LiveRules) -> LiveLine:
    event: ForkFailedEvent = annotated.event  # type: ignore[assignment]
    number = abs(event.errno)
    after = f" could not fork: {errno.errorcode.get(number, number)}"
    return _about(annotated, rules, "fork", after, Style.ERROR)


def _fork(annotated: Annotated, rules: LiveRules) -> LiveLine:
    event: ForkEvent = annotated.event  # type: ignore[assignment]
    parent = _named(event.creator.comm, event.creator.host_pid)
    return _about(annotated, rules, "fork", f" was forked by {parent}", Style.DIM)


def _exec(annotated: Annotated, rules: LiveRules) -> LiveLine:
    return _about(annotated, rules, "exec", " is the program it now runs", Style.DIM)


def _process(annotated: Annotated, rules: LiveRules) -> LiveLine:
    event: ProcessEvent = annotated.event  # type: ignore[assignment]
    after = " was already a zombie" if event.is_zombie else " was already running"
    return _about(annotated, rules, "process", after, Style.DIM)


def _loss(annotated: Annotated, _: LiveRules) -> LiveLine | None:
    event: LossEvent = annotated.event  # type: ignore[assignment]
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(event.lost.items()) if count)
    if not counts:
        return None
    over = ""
    if event.since_boot_ns is not None:
        over = f" of the last {format_duration(event.boot_ns - event.since_boot_ns)}"
    is_one = sum(event.lost.values()) == 1
    events, were = ("event", "was") if is_one else ("events", "were")
    text = f"{counts} {events}{over} {were} lost; results for that period are incomplete"
    return LiveLine(event.boot_ns, "LOST", text, None, None, "", Style.ERROR)


def _about(
    annotated: Annotated,
    rules: LiveRules,
    label: str,
    after: str,
    style: Style,
    *,
    before: str = "",
) -> LiveLine:
    process: ProcessSnapshot = annotated.event.process  # type: ignore[union-attr]
    return LiveLine(
        annotated.event.boot_ns,
        label,
        before,
        rules.subject(annotated, process),
        process.host_pid,
        after,
        style,
    )


def _named(comm: str, host_pid: int | None) -> str:
    return comm if host_pid is None else f"{comm}[{host_pid}]"


def _held_up(annotated: Annotated, _: LiveRules) -> LiveLine | None:
    if annotated.held_up is None:
        return None
    return LiveLine(
        annotated.event.boot_ns, "held up", annotated.held_up, None, None, "", Style.WARNING
    )


_WRITERS: dict[type, Callable[[Any, LiveRules], LiveLine | None]] = {
    AttachedEvent: _attached,
    ProcessEvent: _process,
    ForkEvent: _fork,
    ExecEvent: _exec,
    ExitEvent: _exit,
    ReapEvent: _reap,
    LifetimeEvent: _lifetime,
    SignalEvent: _signal,
    TeardownEvent: _teardown,
    OomEvent: _oom,
    ForkFailedEvent: _fork_failed,
    LossEvent: _loss,
    ObservationEvent: _held_up,
}
