"""What the picture lacks: losses, and whom they may concern."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from tracer.model.events import LossEvent


class LossLedger:
    """Every loss so far, by kind and time."""

    def __init__(self) -> None:
        self._totals: Counter[str] = Counter()
        self._latest: dict[str, int] = {}

    def add(self, event: LossEvent) -> None:
        """Enter a loss."""
        for kind, count in event.lost.items():
            if count:
                self._totals[kind] += count
                self._latest[kind] = event.boot_ns

    @property
    def totals(self) -> Mapping[str, int]:
        """Records lost, by kind; empty where nothing was lost."""
        return dict(self._totals)

    def any_since(self, boot_ns: int, kind: str | None = None) -> bool:
        """Whether something was lost that may have happened after an instant.

        A loss is noticed after it happened, never before: a notice later than
        the instant may be of a record from before it, which errs towards
        "incomplete".
        """
        if kind is not None:
            return self._latest.get(kind, -1) >= boot_ns
        return any(latest >= boot_ns for latest in self._latest.values())
