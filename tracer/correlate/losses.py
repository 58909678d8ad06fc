"""What the picture lacks: losses, and what they may concern."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from tracer.model.events import LossEvent

LATE = "late"
"""Records that came too late to be put in order: of any kind."""


class LossLedger:
    """Every loss so far: of which kind, and between which instants."""

    def __init__(self) -> None:
        self._totals: Counter[str] = Counter()
        self._spans: dict[str, list[tuple[int, int]]] = {}

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

    @property
    def totals(self) -> Mapping[str, int]:
        """Records lost, by kind; empty where nothing was lost."""
        return dict(self._totals)

    def any_between(
        self, since_ns: int, until_ns: int | None, kinds: Iterable[str] | None = None
    ) -> bool:
        """Whether a record from between two instants may be lost.

        Args:
            since_ns: The first instant.
            until_ns: The last instant; None = the end of the trace.
            kinds: Of which kinds; None = of any.
        """
        if not self._spans:
            return False
        wanted = self._spans.keys() if kinds is None else {*kinds, LATE}
        return any(
            last >= since_ns and (until_ns is None or first <= until_ns)
            for kind in wanted
            for first, last in self._spans.get(kind, ())
        )
