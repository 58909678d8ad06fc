"""Signals that may have killed a process, and which of them did.

Source: complete_signal() and get_signal() in kernel/signal.c.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from tracer.model.events import DeliverEvent, SignalEvent, SignalInfo
from tracer.model.signals import SIGKILL, Disposition, SignalResult
from tracer.model.verdicts import Cause

SIGRTMIN_KERNEL = 32
"""The kernel's first real-time signal; libraries keep two of them to themselves."""

_SI_KERNEL = 0x80
_QUEUED = frozenset({SignalResult.DELIVERED, SignalResult.LOST_INFO})
_KEPT = 8


@dataclass(frozen=True, slots=True)
class SentSignal:
    """A signal that could kill, and why it was sent as far as it shows by itself.

    Args:
        event: The signal.
        cause: Why.
        rests_on: The kinds of record whose absence ``cause`` rests on.
        rests_since_ns: From when on; None = for as long as a stop may be under way.
    """

    event: SignalEvent
    cause: Cause
    rests_on: frozenset[str] = frozenset()
    rests_since_ns: int | None = None


@dataclass(slots=True)
class _OneSignal:
    first_deadly: SentSignal | None
    recent: deque[SentSignal]


class Suspects:
    """The signals a process was sent which may turn out to have killed it.

    However many it is sent, only a handful of each number are kept.
    """

    __slots__ = ("_by_signo", "_delivered", "_injected_kill")

    def __init__(self) -> None:
        self._by_signo: dict[int, _OneSignal] | None = None
        self._delivered: DeliverEvent | None = None
        self._injected_kill = False

    @property
    def is_empty(self) -> bool:
        """Whether there was no signal that bears on its end."""
        return self._by_signo is None and self._delivered is None and not self._injected_kill

    def add(self, sent: SentSignal) -> None:
        """Enter a signal whose default action kills."""
        event = sent.event
        # Dead or dying already: nothing can kill it again.
        if event.result not in _QUEUED or event.target_live_threads == 0 or event.target_group_exit:
            return
        if self._by_signo is None:
            self._by_signo = {}
        one = self._by_signo.get(event.signo)
        if one is None:
            one = self._by_signo[event.signo] = _OneSignal(None, deque(maxlen=_KEPT))
        if event.signo == SIGKILL and self._injected_kill:
            return
        if one.first_deadly is None and event.disposition is Disposition.DEFAULT:
            one.first_deadly = sent
        if event.signo != SIGKILL:
            one.recent.append(sent)

    def note_delivery(self, event: DeliverEvent) -> None:
        """Enter that a thread took a signal from the queue."""
        if event.signo == SIGKILL:
            # The thread of a dying process is shown a SIGKILL without siginfo;
            # one with siginfo is a ptracer's, which was never generated.
            if event.si_code is not None and not self.has(SIGKILL):
                self._injected_kill = True
        elif event.disposition is Disposition.DEFAULT:
            self._delivered = event

    def has(self, signo: int) -> bool:
        """Whether a signal of this number that may have killed was seen."""
        return self._by_signo is not None and signo in self._by_signo

    def was_delivered(self, signo: int) -> bool:
        """Whether the last signal taken with its default action was this one."""
        return self._delivered is not None and self._delivered.signo == signo

    def forget_handlers(self) -> None:
        """Enter an exec: what would have been caught is not any more."""
        self._delivered = None

    def pick(self, signo: int) -> SentSignal | None:
        """Say which signal killed the process, now that one of this number has.

        Of SIGKILL the first that was queued kills. So does the first other one
        that found the default action in place, unless a tracer kept it back;
        where a thread took the fatal signal from the queue (it had been blocked,
        it dumps core, a tracer let it through) its siginfo shows which one it was.
        """
        one = self._by_signo.get(signo) if self._by_signo is not None else None
        if one is None:
            return None
        if signo == SIGKILL:
            return one.first_deadly
        taken = self._delivered
        if taken is None or taken.signo != signo:
            return one.first_deadly or (one.recent[-1] if one.recent else None)
        fitting = [
            sent
            for sent in one.recent
            if sent.event.boot_ns <= taken.boot_ns
            and (taken.si_code is None or _queued_info(sent.event) == (taken.si_code, taken.si_pid))
        ]
        # A standard signal is queued once: the newest took the place of one that
        # is gone. Real-time ones queue up; of several senders' any may be first.
        if signo < SIGRTMIN_KERNEL or len({sent.event.actor.key for sent in fitting}) == 1:
            return fitting[-1] if fitting else None
        return None


class _NoSuspects(Suspects):
    """Of processes that are known to have exited, all of them: nothing is entered."""

    __slots__ = ()

    def add(self, sent: SentSignal) -> None:
        """Leave it out."""

    def note_delivery(self, event: DeliverEvent) -> None:
        """Leave it out."""


NO_SUSPECTS: Suspects = _NoSuspects()


def _queued_info(event: SignalEvent) -> tuple[int | None, int | None]:
    # __send_signal_locked() fills the siginfo where the sender gave none.
    if event.result is SignalResult.LOST_INFO:
        return 0, 0
    if event.info is SignalInfo.NONE:
        return 0, event.actor.ns_pid
    if event.info is SignalInfo.KERNEL:
        return _SI_KERNEL, 0
    return event.si_code, event.si_pid
