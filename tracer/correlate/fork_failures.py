"""Forks that failed, by caller and error: however many, one entry each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tracer.model.events import ForkFailedEvent
from tracer.model.identity import ProcessKey

_MOST_CALLERS = 1_000


@dataclass(slots=True)
class FailedForks:
    """The failures of one caller with one error.

    Args:
        first: The first of them.
        last_ns: When the last one was.
        count: How many there were.
    """

    first: ForkFailedEvent
    last_ns: int
    count: int


class ForkFailures:
    """Forks that failed, summed up; of callers, as many as are kept apart."""

    def __init__(self) -> None:
        self._groups: dict[tuple[ProcessKey, int], FailedForks] = {}

    def __bool__(self) -> bool:
        return bool(self._groups)

    def __iter__(self) -> Iterator[FailedForks]:
        return iter(self._groups.values())

    def add(self, event: ForkFailedEvent) -> None:
        """Enter a failure; the same one again adds nothing."""
        where = (event.process.key, event.errno)
        group = self._groups.get(where)
        if group is None:
            if len(self._groups) < _MOST_CALLERS:
                self._groups[where] = FailedForks(event, event.boot_ns, 1)
        elif event.boot_ns > group.last_ns:
            group.last_ns = event.boot_ns
            group.count += 1

    def forget_before(self, boot_ns: int) -> None:
        """Drop the callers whose last failure was before an instant."""
        self._groups = {
            where: group for where, group in self._groups.items() if group.last_ns >= boot_ns
        }
