"""Calls that may never return: a signal ends the program all the same.

A file system in user space, or of another machine, may not answer. Python handles a signal
once the system call of its main thread is over, so that one which never is, is made by
another thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


def interruptibly(call: Callable[[], T]) -> T:
    """Make a call; a signal handler's exception does not wait for it."""
    if threading.current_thread() is not threading.main_thread():
        # No handler runs in this one.
        return call()
    caller = _Caller(call)
    try:
        caller.start()
    except RuntimeError:
        # No thread can be started: the limit of processes is reached.
        return call()
    caller.is_over.wait()
    if caller.error is not None:
        raise caller.error
    return caller.answers[0]


def in_background(call: Callable[[], object]) -> None:
    """Make a call and do not wait for it, not even at the end of the program."""
    try:
        _Caller(call).start()
    except RuntimeError:
        call()


class _Caller(threading.Thread, Generic[T]):
    """Makes one call."""

    def __init__(self, call: Callable[[], T]) -> None:
        super().__init__(name="caller", daemon=True)
        self._call = call
        self.is_over = threading.Event()
        self.answers: list[T] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.answers.append(self._call())
        except BaseException as error:  # noqa: BLE001 - raised where it was called
            self.error = error
        self.is_over.set()
