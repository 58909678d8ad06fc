"""Reads of /proc that a process can hold up, done where nothing waits for them for long.

The kernel takes locks of the process for most files in /proc/PID: of its address space
for ``cmdline``, of its execve(2) for ``stat``, ``syscall``, ``wchan`` and ``ns/*``. A
process that is made to wait while it holds them, by a file system that does not answer,
has every reader wait with it. ``status``, ``cgroup`` and ``comm`` take none of these;
but ``cgroup`` of a process that is thousands of levels deep takes a quarter of a second.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

_PATIENCE_S = 0.2
"""For the first that does not come; a read takes a thousandth of that."""
_LEAST_PATIENCE_S = 0.01
_MOST_ASKERS = 8
"""Of which each may wait for ever; with none left nothing more is read."""


class NoAnswerError(ProcessLookupError):
    """A process that /proc cannot be read for; to be skipped as if it were gone."""


class Patience:
    """Asks questions from other threads, and gives up those that are not answered in time.

    Who is not answered is asked less patiently the next time: a hostile container may
    have many processes like that. A thread that waits goes on doing so, and is of use
    again once it is answered; it does not keep the program from ending.

    Args:
        patience_s: How long to wait for the first answer.
        most_askers: How many threads there may be.
    """

    def __init__(self, *, patience_s: float = _PATIENCE_S, most_askers: int = _MOST_ASKERS) -> None:
        self._most_patience_s = patience_s
        self._patience_s = patience_s
        self._left = most_askers
        self._lock = threading.Lock()
        self._idle: list[_Asker] = []

    def ask(self, question: Callable[[], T]) -> T:
        """Ask; within a question, ask directly.

        Raises:
            NoAnswerError: No answer has come, or too many wait for one already.
        """
        if isinstance(threading.current_thread(), _Asker):
            return question()
        asker = self._take()
        if asker is None:
            raise NoAnswerError("too many processes do not respond")
        pending = _Pending(question)
        asker.questions.put(pending)
        if not pending.is_over.wait(self._patience_s):
            self._patience_s = max(self._patience_s / 2, _LEAST_PATIENCE_S)
            raise NoAnswerError("it does not respond")
        self._patience_s = min(self._patience_s * 2, self._most_patience_s)
        if pending.error is not None:
            raise pending.error
        answer: T = pending.answer
        return answer

    def _take(self) -> _Asker | None:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if self._left == 0:
                return None
            self._left -= 1
        asker = _Asker(self._idle)
        asker.start()
        return asker


class _Pending:
    """A question, and what became of it."""

    def __init__(self, question: Callable[[], Any]) -> None:
        self.question = question
        self.is_over = threading.Event()
        self.answer: Any = None
        self.error: BaseException | None = None


class _Asker(threading.Thread):
    """A thread that asks one question after the other."""

    def __init__(self, idle: list[_Asker]) -> None:
        super().__init__(name="asker", daemon=True)
        self.questions: SimpleQueue[_Pending] = SimpleQueue()
        self._idle = idle

    def run(self) -> None:
        while True:
            pending = self.questions.get()
            try:
                pending.answer = pending.question()
            except BaseException as error:  # noqa: BLE001 - raised where it was asked
                pending.error = error
            self._idle.append(self)
            pending.is_over.set()
            del pending


_patience = Patience()
_by_owner: dict[int | None, Patience] = {None: Patience(most_askers=32)}
_MOST_ASKERS_OF_A_USER = 2


def ask(question: Callable[[], T]) -> T:
    """Ask with the patience that all reads of this process share.

    Raises:
        NoAnswerError: See :meth:`Patience.ask`.
    """
    return _patience.ask(question)


def ask_for(owner_uid: int | None, question: Callable[[], T]) -> T:
    """Ask about a process that an owner calls a container's init.

    Each owner has askers of its own: a user whose processes do not answer keeps no one
    from looking at another's, or at root's; nor does a process that is traced.

    Args:
        owner_uid: The user; None for root.
        question: See :meth:`Patience.ask`.

    Raises:
        NoAnswerError: See :meth:`Patience.ask`.
    """
    patience = _by_owner.get(owner_uid)
    if patience is None:
        patience = _by_owner.setdefault(owner_uid, Patience(most_askers=_MOST_ASKERS_OF_A_USER))
    return patience.ask(question)
