"""The OOM killer: whom it chose, and whom it killed for sharing the memory.

Source: __oom_kill_process() in mm/oom_kill.c sends SIGKILL (SEND_SIG_PRIV), then
marks the victim, then sends SIGKILL to every process that shares its memory, all in the
context of the thread that wanted memory. Where a kprobe stands in for the mark,
it comes before the signal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from tracer.correlate.process import ProcessState
from tracer.model.events import OomEvent, SignalEvent
from tracer.model.identity import Actor, ProcessKey

_T = TypeVar("_T")
_Thread = tuple[int | None, ProcessKey | None]

_SAME_KILL_NS = 1_000_000_000
_MOST_THREADS = 256


@dataclass(frozen=True, slots=True)
class _Kill:
    boot_ns: int
    target_host_tid: int
    victim: ProcessState


class OomLedger:
    """SIGKILLs of the kernel and marks of victims, by the thread they ran in."""

    def __init__(self) -> None:
        self._kills: dict[_Thread, _Kill] = {}
        self._marks: dict[_Thread, int] = {}

    def note_kill(self, event: SignalEvent, victim: ProcessState) -> bool:
        """Enter a SIGKILL of the kernel's own.

        Returns:
            Whether this thread was in the OOM killer a moment ago.
        """
        thread = _thread_of(event.actor)
        marked_ns = self._marks.get(thread)
        if marked_ns is not None and event.boot_ns - marked_ns <= _SAME_KILL_NS:
            return True
        _bounded(self._kills)[thread] = _Kill(event.boot_ns, event.target_host_tid, victim)
        return False

    def note_mark(self, event: OomEvent, victim: ProcessState | None) -> ProcessState | None:
        """Enter the mark of a victim.

        Args:
            event: The mark.
            victim: The process it names, or None where it names a bare number
                that is no process: then it is a thread's.

        Returns:
            Whom the OOM killer killed; None where the mark is of a process that
            was dying already, or of none that is traced.
        """
        thread = _thread_of(event.actor)
        kill = self._kills.get(thread)
        if kill is not None and event.boot_ns - kill.boot_ns > _SAME_KILL_NS:
            kill = None
        if victim is None and kill is not None:
            if kill.target_host_tid != event.process.host_pid:
                return None
            victim = kill.victim
        if victim is None:
            return None
        # out_of_memory() lets a caller go that is dying already.
        if event.actor.is_exiting and event.actor.host_pid == victim.key.host_pid:
            return None
        _bounded(self._marks)[thread] = event.boot_ns
        return victim


def _thread_of(actor: Actor) -> _Thread:
    # The number alone would be the next process's too.
    return actor.host_tid, actor.key


def _bounded(entries: dict[_Thread, _T]) -> dict[_Thread, _T]:
    if len(entries) >= _MOST_THREADS:
        del entries[next(iter(entries))]
    return entries
