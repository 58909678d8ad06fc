"""Signals that a process was sent and lived on after: what came before its death."""

from __future__ import annotations

from dataclasses import dataclass

from tracer.model.events import SignalEvent

_KEPT = 4
_MOST_SIGNALS = 64


@dataclass(slots=True)
class Dropped:
    """Signals of one number that the kernel dropped, as they came.

    Args:
        first: The first of them.
        last: The newest.
        count: How many there were.
    """

    first: SignalEvent
    last: SignalEvent
    count: int = 1


class AskedBefore:
    """What other processes sent to one, and what was dropped at it, in bounded numbers."""

    __slots__ = ("_dropped", "_sent", "raised")

    def __init__(self) -> None:
        # Many processes are sent one signal and no more: nothing is kept room for.
        self._sent: tuple[SignalEvent, ...] = ()
        self._dropped: dict[int, Dropped] | None = None
        self.raised: SignalEvent | None = None
        """What it sent itself while that was blocked: its own handler may run, and return."""

    def note_sent(self, event: SignalEvent) -> None:
        """Enter a signal of another process's, whose default action kills."""
        self._sent = (*self._sent, event)[-_KEPT:]

    def note_dropped(self, event: SignalEvent) -> None:
        """Enter a signal that the kernel dropped, as its target is an init without handler."""
        if self._dropped is None:
            self._dropped = {}
        known = self._dropped.get(event.signo)
        if known is None:
            if len(self._dropped) < _MOST_SIGNALS:
                self._dropped[event.signo] = Dropped(event, event)
            return
        known.last = event
        known.count += 1

    @property
    def sent(self) -> tuple[SignalEvent, ...]:
        """The newest of those that others sent, in order."""
        return self._sent

    @property
    def dropped(self) -> tuple[Dropped, ...]:
        """Those that were dropped, by number."""
        return () if self._dropped is None else tuple(self._dropped.values())
