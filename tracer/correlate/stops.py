"""The history of one stop, kept while it happens."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tracer.model.events import SignalEvent
from tracer.model.identity import ProcessKey
from tracer.model.signals import SIGKILL, SignalResult
from tracer.model.verdicts import StopOutcome

SURVIVED_AFTER_NS = 60_000_000_000
"""A stop signal that init outlives this long, unescalated, did not stop it."""


class StopTrigger(StrEnum):
    """What began a stop."""

    STOP_SIGNAL = "stop_signal"
    SIGKILL = "sigkill"
    CGROUP_KILL = "cgroup_kill"
    OOM = "oom"
    INIT_EXIT = "init_exit"


@dataclass(slots=True)
class StopState:
    """One stop: who was there, what was sent, how it ended.

    ``members`` are the processes unreleased at the begin and those forked
    later, init left out.
    """

    begin_ns: int
    trigger: StopTrigger
    stop_signo: int
    members: set[ProcessKey] = field(default_factory=set)
    stop_signal: SignalEvent | None = None
    stop_signals: int = 0
    kill: SignalEvent | None = None
    init_exit_ns: int | None = None
    end_ns: int | None = None
    outcome: StopOutcome | None = None

    @property
    def is_closed(self) -> bool:
        """Whether it is over."""
        return self.end_ns is not None

    @property
    def escalated(self) -> bool:
        """Whether SIGKILL followed the stop signal."""
        return self.stop_signal is not None and self.kill is not None

    def note_signal_to_init(self, event: SignalEvent) -> None:
        """Record a further signal that init got while being stopped."""
        if event.signo == SIGKILL:
            if self.kill is None and event.result is not SignalResult.IGNORED:
                self.kill = event
        elif event.signo == self.stop_signo:
            if self.stop_signal is None:
                self.stop_signal = event
            self.stop_signals += 1

    def check_survival(self, now_ns: int) -> bool:
        """Close the stop as survived if its time is up; whether it did."""
        if (
            self.is_closed
            or self.stop_signal is None
            or self.kill is not None
            or self.init_exit_ns is not None
            or now_ns - self.stop_signal.boot_ns < SURVIVED_AFTER_NS
        ):
            return False
        self.outcome = StopOutcome.SURVIVED
        self.end_ns = self.stop_signal.boot_ns + SURVIVED_AFTER_NS
        return True
