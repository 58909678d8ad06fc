"""Counts of what a report does not list: by kind, with a limit on the number of kinds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

_K = TypeVar("_K")


@dataclass(slots=True)
class Tally:
    """How many there were of one kind, and between which instants.

    Args:
        count: How many.
        longest_ns: The longest of their durations.
        first_ns: The instant of the first.
        last_ns: That of the last.
        sums: Further numbers, each summed up; empty where there are none.
    """

    count: int = 0
    longest_ns: int = 0
    first_ns: int = 0
    last_ns: int = 0
    sums: list[int] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count more of the kind."""
        if not self.count:
            self.first_ns, self.last_ns = other.first_ns, other.last_ns
            self.sums = list(other.sums)
        else:
            self.first_ns = min(self.first_ns, other.first_ns)
            self.last_ns = max(self.last_ns, other.last_ns)
            self.sums = [mine + theirs for mine, theirs in zip(self.sums, other.sums, strict=True)]
        self.count += other.count
        self.longest_ns = max(self.longest_ns, other.longest_ns)


class Ledger(Generic[_K]):
    """Tallies by kind.

    There are as many kinds as a container makes up names: beyond a limit the rarest
    are put together with others that differ from them by name alone.

    Args:
        most: How many kinds are kept apart; twice as many before any are merged.
        without_name: A kind without what makes kinds many.
        gravity: The graver a kind, the smaller; grave ones keep their names.
    """

    def __init__(
        self, most: int, without_name: Callable[[_K], _K], gravity: Callable[[_K], int]
    ) -> None:
        self._most = most
        self._without_name = without_name
        self._gravity = gravity
        self._tallies: dict[_K, Tally] = {}
        self._full_at = 2 * most

    def __bool__(self) -> bool:
        return bool(self._tallies)

    def __iter__(self) -> Iterator[tuple[_K, Tally]]:
        """The gravest first, then the most; of equal ones the earlier."""
        return iter(sorted(self._tallies.items(), key=self._rank))

    def copy(self) -> Ledger[_K]:
        """The same counts, to add to."""
        twin = Ledger(self._most, self._without_name, self._gravity)
        for kind, tally in self._tallies.items():
            twin.add(kind, tally)
        return twin

    def has_room_for(self, kinds: Collection[_K]) -> bool:
        """Whether none are put together if these kinds come."""
        return len(self._tallies) + len(kinds) <= self._full_at

    def add(self, kind: _K, tally: Tally) -> None:
        """Count some of a kind."""
        self._of(kind).add(tally)
        if len(self._tallies) > self._full_at:
            self._put_together()

    def add_one(self, kind: _K, boot_ns: int, longest_ns: int = 0) -> None:
        """Count one of a kind."""
        tally = self._tallies.get(kind)
        if tally is None:
            self.add(kind, Tally(1, longest_ns, boot_ns, boot_ns))
            return
        tally.count += 1
        tally.first_ns = min(tally.first_ns, boot_ns)
        tally.last_ns = max(tally.last_ns, boot_ns)
        tally.longest_ns = max(tally.longest_ns, longest_ns)

    def _of(self, kind: _K) -> Tally:
        tally = self._tallies.get(kind)
        if tally is None:
            tally = self._tallies[kind] = Tally()
        return tally

    def _rank(self, item: tuple[_K, Tally]) -> tuple[int, int, int]:
        # By time: folded lifetimes come in another order.
        return self._gravity(item[0]), -item[1].count, item[1].first_ns

    def _put_together(self) -> None:
        ranked = sorted(self._tallies.items(), key=self._rank)
        self._tallies = dict(ranked[: self._most])
        for kind, tally in ranked[self._most :]:
            self._of(self._without_name(kind)).add(tally)
        self._full_at = 2 * max(self._most, len(self._tallies))
