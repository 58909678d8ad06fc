"""Clocks that a test sets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class SetClock:
    """A :class:`tracer.procfs.clock.Clock` that moves only when a test sets it.

    Args:
        now_ns: What it reads.
    """

    now_ns: int

    def boot_now_ns(self) -> int:
        """Return the time."""
        return self.now_ns

    def utc_offset_ns(self) -> int:
        """Return no offset."""
        return 0
