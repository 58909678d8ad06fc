"""The history of one stop, kept while it happens."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tracer.model.events import SignalEvent, SignalInfo
from tracer.model.identity import ProcessKey
from tracer.model.signals import SIGKILL, SignalResult
from tracer.model.verdicts import StopOutcome

SURVIVED_AFTER_NS = 60_000_000_000
"""A stop signal that init outlives this long, unescalated, did not stop it, unless a longer
grace is known."""
_AFTER_GRACE_NS = 5_000_000_000


class StopTrigger(StrEnum):
    """What began a stop."""

    STOP_SIGNAL = "stop_signal"
    SIGKILL = "sigkill"
    CGROUP_KILL = "cgroup_kill"
    OOM = "oom"
    INIT_EXIT = "init_exit"


@dataclass(slots=True)
class MemberCounts:
    """How a stop's members ended; each in exactly one.

    Args:
        other_signals: The signals that those died of who died of another than SIGKILL:
            bit N is signal N.
    """

    sigkilled: int = 0
    signalled: int = 0
    exited: int = 0
    already_zombie: int = 0
    survived: int = 0
    other_signals: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.sigkilled + self.signalled + self.exited + self.already_zombie + self.survived


@dataclass(slots=True)
class StopState:
    """One stop: who was there, what was sent, how it ended.

    Args:
        begin_ns: When it began.
        trigger: What began it.
        stop_signo: The signal that stops what is being stopped.
        members: The processes unreleased at the begin and those forked later,
            init left out; but for those that are forgotten.
        forgotten: How those ended.
        forgot_late: One of those was not seen from its birth.
        stop_signal: The first stop signal to init.
        stop_signals: How many there were.
        last_asked_ns: When the last one was sent.
        kill: The first SIGKILL to init that was not dropped.
        kill_by_cgroup: It came through cgroup.kill.
        init_exit_ns: When init ended.
        end_ns: When the last member was gone, or init had survived.
        outcome: How it went; None while it goes on.
        was_init_stopped: Init was stopped (SIGSTOP) when SIGKILL came.
        after_survived_ns: When a stop signal had been sent that init survived.
        is_assumed: Nothing but its sender, a runtime, says that the signal was to stop it.
        grace_ns: The grace its runtime gives, where that is known.
    """

    begin_ns: int
    trigger: StopTrigger
    stop_signo: int
    members: set[ProcessKey] = field(default_factory=set)
    forgotten: MemberCounts = field(default_factory=MemberCounts)
    forgot_late: bool = False
    stop_signal: SignalEvent | None = None
    stop_signals: int = 0
    last_asked_ns: int | None = None
    kill: SignalEvent | None = None
    kill_by_cgroup: bool = False
    init_exit_ns: int | None = None
    end_ns: int | None = None
    outcome: StopOutcome | None = None
    was_init_stopped: bool = False
    after_survived_ns: int | None = None
    is_assumed: bool = False
    grace_ns: int | None = None

    @property
    def is_closed(self) -> bool:
        """Whether it is over."""
        return self.end_ns is not None

    @property
    def escalated(self) -> bool:
        """Whether a process sent SIGKILL after the stop signal.

        The kernel's own (the OOM killer, an outer namespace's end) is no
        escalation.
        """
        return (
            self.stop_signal is not None
            and self.kill is not None
            and (self.kill.info is SignalInfo.FILLED or self.kill_by_cgroup)
        )

    @property
    def survives_at_ns(self) -> int | None:
        """When init will have survived, if nothing more happens; else None."""
        if (
            self.is_closed
            or self.last_asked_ns is None
            or self.kill is not None
            or self.init_exit_ns is not None
        ):
            return None
        # SIGKILL comes when the grace is over, and who sends it is not always prompt.
        grace_ns = self.grace_ns + _AFTER_GRACE_NS if self.grace_ns is not None else 0
        return self.last_asked_ns + max(SURVIVED_AFTER_NS, grace_ns)

    def note_stop_signal(self, event: SignalEvent) -> None:
        """Enter a stop signal to init."""
        if self.last_asked_ns == event.boot_ns:
            return
        if self.stop_signal is None:
            self.stop_signal = event
        self.stop_signals += 1
        self.last_asked_ns = event.boot_ns

    def note_kill(self, event: SignalEvent, *, by_cgroup: bool) -> None:
        """Enter a SIGKILL to init."""
        if (
            self.kill is None
            and event.signo == SIGKILL
            and event.result is not SignalResult.IGNORED
            and not event.target_group_exit
        ):
            self.kill = event
            self.kill_by_cgroup = by_cgroup

    def survive(self, until_ns: int) -> None:
        """Close the stop: init outlived its stop signal."""
        self.outcome = StopOutcome.SURVIVED
        self.end_ns = until_ns
