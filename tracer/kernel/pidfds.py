"""The time a zombie is released, where no hook sees it: its pidfd hangs up.

Source:
    pidfd_poll() and pidfs_exit() in fs/pidfs.c: POLLIN while a process is a zombie,
    POLLHUP once it was released, for any user's process; so since about 6.15.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import subprocess
import threading
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tracer.procfs import clock
from tracer.procfs.process import read_status
from tracer.wire.layout import CONSTANTS

Records = npt.NDArray[np.void]

MOST = 256
"""How many zombies are watched at a time: each takes a descriptor, usually of 1024."""

SOURCE = "pidfd:POLLHUP"

_FREE = CONSTANTS["ZT_KIND_FREE"]
_TICK_NS = 10_000_000
_KEPT = 4096
_TRIAL_S = 0.5


def pidfds_hang_up() -> bool:
    """Try whether a pidfd of this kernel reports a release."""
    try:
        child = subprocess.Popen(["/bin/true"])
    except OSError:
        return False
    try:
        fd = os.pidfd_open(child.pid)
    except OSError:
        child.wait()
        return False
    try:
        poll = select.poll()
        poll.register(fd, 0)
        child.wait()
        return bool(poll.poll(_TRIAL_S * 1000))
    finally:
        os.close(fd)


_NO_MORE_FILES = frozenset({errno.EMFILE, errno.ENFILE})


class ZombieWatch:
    """Notes when zombies are released, in a thread: whatever else goes on, at once.

    Args:
        now: CLOCK_BOOTTIME, ns.
    """

    def __init__(self, now: Callable[[], int] = clock.boot_now_ns) -> None:
        self._now = now
        self._epoll = select.epoll()
        self._ending = os.eventfd(0, os.EFD_CLOEXEC)
        self._epoll.register(self._ending, select.EPOLLIN)
        self._lock = threading.Lock()
        self._watched: dict[int, tuple[int, int]] = {}
        self._keys: set[tuple[int, int]] = set()
        self._released: dict[tuple[int, int], int] = {}
        self._thread: threading.Thread | None = None
        self._is_full = False

    def watch(self, zombies: Records) -> None:
        """Watch processes that were just seen to be zombies, as many as there is room for."""
        for key in zip(
            zombies["host_pid"].tolist(), zombies["start_boot_ns"].tolist(), strict=True
        ):
            if len(self._keys) >= MOST or self._is_full:
                return
            if key not in self._keys:
                self._add(key)

    def stamp(self, batch: Records) -> None:
        """Put into FREE records when their process was released, where that was seen."""
        if not self._released:
            return
        for row in np.flatnonzero(batch["kind"] == _FREE).tolist():
            key = int(batch["host_pid"][row]), int(batch["start_boot_ns"][row])
            with self._lock:
                released_ns = self._released.pop(key, 0)
            if released_ns and released_ns <= batch["boot_ns"][row]:
                batch["notified_ns"][row] = released_ns

    def close(self) -> None:
        """Watch no more."""
        os.eventfd_write(self._ending, 1)
        if self._thread is not None:
            self._thread.join()
        for fd in self._watched:
            os.close(fd)
        self._watched.clear()
        self._epoll.close()
        os.close(self._ending)

    def _add(self, key: tuple[int, int]) -> None:
        host_pid, start_boot_ns = key
        try:
            fd = os.pidfd_open(host_pid)
        except OSError as error:
            self._is_full = error.errno in _NO_MORE_FILES
            return
        try:
            status = read_status(host_pid)
        except OSError:
            # The last descriptor there was: others need it more.
            os.close(fd)
            self._is_full = True
            return
        if status is None or abs(status.start_boot_ns - start_boot_ns) > _TICK_NS:
            os.close(fd)
            return
        with self._lock:
            self._watched[fd] = key
            self._keys.add(key)
        # A zombie is always readable; POLLHUP is reported without being asked for.
        self._epoll.register(fd, 0)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="zombies", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while True:
            for fd, _ in self._epoll.poll():
                released_ns = self._now()
                if fd == self._ending:
                    return
                with self._lock:
                    key = self._watched.pop(fd)
                    self._keys.discard(key)
                    while len(self._released) >= _KEPT:
                        del self._released[next(iter(self._released))]
                    self._released[key] = released_ns
                with contextlib.suppress(OSError):
                    self._epoll.unregister(fd)
                os.close(fd)
