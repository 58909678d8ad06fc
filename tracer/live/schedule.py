"""Things to do at a time, for a loop that waits for events."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable


class Schedule:
    """Actions due at instants of the monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], object]]] = []
        self._sequence = itertools.count()

    def after(self, delay_s: float, action: Callable[[], object]) -> None:
        """Do something once, a number of seconds from now."""
        heapq.heappush(self._heap, (time.monotonic() + delay_s, next(self._sequence), action))

    def seconds_left(self) -> float | None:
        """How long until the next action, or None where there is none."""
        if not self._heap:
            return None
        return max(0.0, self._heap[0][0] - time.monotonic())

    def run_due(self) -> None:
        """Do what is due."""
        while self._heap and self._heap[0][0] <= time.monotonic():
            _, _, action = heapq.heappop(self._heap)
            action()
