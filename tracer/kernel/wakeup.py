"""One descriptor to sleep on: readable when a ring is, or when a time has come."""

from __future__ import annotations

import ctypes
import os
import select
import time
from typing import Self


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class WakeUp:
    """An epoll over rings and a timer (timerfd_create(2)).

    Args:
        ring_fds: The rings' maps; they stay the caller's.

    Raises:
        ZomtraceError: There are no descriptors left.
    """

    def __init__(self, *ring_fds: int) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._timer_fd = int(
            self._libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_CLOEXEC | os.O_NONBLOCK)
        )
        if self._timer_fd < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        self._epoll = select.epoll()
        for ring_fd in ring_fds:
            self._epoll.register(ring_fd, select.EPOLLIN)
        self._epoll.register(self._timer_fd, select.EPOLLIN)
        self._is_set = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def fileno(self) -> int:
        """Return the descriptor to poll."""
        return self._epoll.fileno()

    def set(self, in_s: float | None) -> None:
        """Be readable after this many seconds instead of an earlier time; None: never."""
        if in_s is None and not self._is_set:
            return
        self._is_set = in_s is not None
        # Zero would disarm it.
        due_ns = 0 if in_s is None else max(1, int(in_s * 1e9))
        spec = _Itimerspec(value=_Timespec(due_ns // 10**9, due_ns % 10**9))
        self._libc.timerfd_settime(self._timer_fd, 0, ctypes.byref(spec), None)

    def close(self) -> None:
        """Close timer and epoll; may be called twice."""
        self._epoll.close()
        if self._timer_fd >= 0:
            os.close(self._timer_fd)
            self._timer_fd = -1
