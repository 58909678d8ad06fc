"""Lost events, and what they may concern."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from tracer.model.events import OVERRUN, LossEvent

_MOST_SPANS = 1_024
LATE = "late"
"""Records, of any kind, that came too late to be sorted in."""
_OF_ANY_KIND = frozenset({LATE, OVERRUN})


class LossLedger:
    """Every loss so far: of which kind, and between which instants.

    Attributes:
        unseen: The kinds of record that the source never gives. None of them is lost,
            and none can be relied on to have come.
    """

    def __init__(self) -> None:
        self._totals: Counter[str] = Counter()
        self._spans: dict[str, list[tuple[int, int]]] = {}
        self.unseen: frozenset[str] = frozenset()

    def add(self, event: LossEvent) -> None:
        """Enter a loss."""
        since_ns = event.since_boot_ns or 0
        for kind, count in event.lost.items():
            if not count:
                continue
            self._totals[kind] += count
            spans = self._spans.setdefault(kind, [])
            if spans and since_ns <= spans[-1][1]:
                # Losses come in rows: one span for each.
                spans[-1] = (min(since_ns, spans[-1][0]), max(event.boot_ns, spans[-1][1]))
            else:
                spans.append((since_ns, event.boot_ns))
            if len(spans) > _MOST_SPANS:
                # Rather too much is in doubt than too little.
                oldest, next_oldest = spans[:2]
                spans[:2] = [(min(oldest[0], next_oldest[0]), max(oldest[1], next_oldest[1]))]

    @property
    def totals(self) -> Mapping[str, int]:
        """Records lost, by kind; empty where nothing was lost."""
        return dict(self._totals)

    def any_between(
        self, since_ns: int, until_ns: int | None, kinds: Iterable[str] | None = None
    ) -> bool:
        """Whether a record from between two instants may be lost, or was never to be seen.

        Args:
            since_ns: The first instant.
            until_ns: The last instant; None = the end of the trace.
            kinds: Of which kinds; None = of any.
        """
        return bool(self._spans or self.unseen) and any(
            self._overlapping(since_ns, until_ns, kinds)
        )

    def kinds_between(
        self, since_ns: int, until_ns: int | None, kinds: Iterable[str] | None = None
    ) -> tuple[str, ...]:
        """Which kinds of record may be lost from between two instants, in order.

        Args:
            since_ns: The first instant.
            until_ns: The last instant; None = the end of the trace.
            kinds: Of which kinds; None = of any.
        """
        return tuple(sorted(set(self._overlapping(since_ns, until_ns, kinds))))

    def _overlapping(
        self, since_ns: int, until_ns: int | None, kinds: Iterable[str] | None
    ) -> Iterator[str]:
        wanted = {*self._spans, *self.unseen} if kinds is None else {*kinds, *_OF_ANY_KIND}
        yield from self.unseen & wanted
        for kind in wanted:
            for first_ns, last_ns in self._spans.get(kind, ()):
                if last_ns >= since_ns and (until_ns is None or first_ns <= until_ns):
                    yield kind
