"""Claims that something did not happen: each within the span that was seen."""

from __future__ import annotations

from dataclasses import dataclass

from tracer.model.claims.claim import Claim
from tracer.model.identity import ProcessKey


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalAbsence(Claim):
    """No signal of a kind was sent to a process within a span.

    ``span`` is what was seen of the time that is meant; ``needs`` says what lies outside
    it. ``certainty`` is seen where all of it was seen, bounded where tracing began
    within it, and unknown where records of signals from it were lost.

    Args:
        about: The process.
        rules_out_stop: What was seen is longer than a stop signal counts for: no stop
            that began before can have been under way.

    Units:
        seen_ns: ns.
    """

    about: ProcessKey
    rules_out_stop: bool

    @property
    def seen_ns(self) -> int:
        """How much of the time that is meant was seen."""
        if self.span is None or self.span.until_ns is None:
            return 0
        return max(0, self.span.until_ns - self.span.since_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class OthersAbsence(Claim):
    """An init had no other process beside it when its stop began, nor after.

    Args:
        about: The init.
        was_left_alone: It had, or may have had, another before.
    """

    about: ProcessKey
    was_left_alone: bool
