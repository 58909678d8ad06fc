"""Where lifetimes go that a trace makes no events for: lines of JSON, or a count."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tracer.live.passed import ContainerOf

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_BLOCK = 2048
"""So many lines take a few milliseconds to make, and a megabyte."""


class PassedCount:
    """Counts them.

    Args:
        count: Takes a number of lifetimes.
    """

    def __init__(self, count: Callable[[int], object]) -> None:
        self._count = count

    def begin(self, lifetimes: npt.NDArray[np.void], container_of: ContainerOf) -> None:
        """Nothing is printed for each."""

    def show(self, number: int) -> None:
        """Count so many."""
        self._count(number)


class PassedLines:
    """Writes a line of JSON for each.

    Args:
        write: Takes whole lines.
        utc_offset_ns: Gives CLOCK_REALTIME minus CLOCK_BOOTTIME.
    """

    def __init__(self, write: Callable[[str], object], utc_offset_ns: Callable[[], int]) -> None:
        self._write = write
        self._utc_offset_ns = utc_offset_ns
        self._lines: list[str] = []
        self._made = 0

    def begin(self, lifetimes: npt.NDArray[np.void], container_of: ContainerOf) -> None:
        """Take the next ones; no line is made yet."""
        self._lifetimes, self._container_of = lifetimes, container_of
        self._lines, self._made = [], 0

    def show(self, number: int) -> None:
        """Write the lines of so many more."""
        while number:
            if not self._lines:
                self._make_some()
            some, self._lines = self._lines[:number], self._lines[number:]
            number -= len(some)
            self._write("\n".join(some) + "\n")

    def _make_some(self) -> None:
        from tracer.report.lifetime_lines import render_lifetimes

        some = self._lifetimes[self._made : self._made + _BLOCK]
        self._made += len(some)
        self._lines = render_lifetimes(some, self._utc_offset_ns(), self._container_of)
