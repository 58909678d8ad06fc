"""A bound on the time that hostile processes can make one kind of reading take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class TimeShare:
    """Counts how much longer than usual readings took, against a share of all time.

    Readings that take an ordinary time are never bounded, however many they are.

    Args:
        ordinary_s: What one may take for nothing, s.
        at_once_s: What all may take beyond that before the share has grown, s.
        share: The part of the time since then that they may take besides.
    """

    def __init__(self, *, ordinary_s: float, at_once_s: float = 0.5, share: float = 0.02) -> None:
        self._ordinary_s = ordinary_s
        self._at_once_s = at_once_s
        self._share = share
        self._began_s = time.monotonic()
        self._excess_s = 0.0

    @property
    def is_spent(self) -> bool:
        """Whether the next is to be left out, or made where nothing waits for it."""
        elapsed_s = time.monotonic() - self._began_s
        return self._excess_s > self._at_once_s + self._share * elapsed_s

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Count a reading, which may fail."""
        began_s = time.monotonic()
        try:
            yield
        finally:
            took_s = time.monotonic() - began_s
            self._excess_s += max(0.0, took_s - self._ordinary_s)


def for_cgroup_paths() -> TimeShare:
    """A share for /proc/PID/cgroup.

    The kernel writes the path in a time that grows with the square of its depth: 50 us
    as a rule, a quarter of a second where it is thousands of levels deep.
    """
    return TimeShare(ordinary_s=0.001)
