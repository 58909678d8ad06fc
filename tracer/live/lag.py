"""How far a live trace is behind what it traces, because it was stopped or is too slow."""

from __future__ import annotations

from tracer.model.events import TRACER_SOURCE, LossEvent, ObservationEvent

BEHIND_NS = 2_000_000_000
"""Records may gather for half a second, and lie in the backlog for a moment: that is no lag."""


class Lag:
    """Compares the time of records with the time at which their turn comes.

    However that comes about (SIGSTOP, a CPU quota, a paused machine, too much to do):
    what was to be read in /proc or a cgroup in that time was read late or not at all.
    """

    def __init__(self) -> None:
        self._since_ns: int | None = None
        self._most_ns = 0
        self._told_ns = 0

    def note(self, oldest_ns: int, now_ns: int) -> ObservationEvent | None:
        """Take note of the records whose turn it is.

        Args:
            oldest_ns: The time of the oldest of them.
            now_ns: CLOCK_BOOTTIME.

        Returns:
            What to report: that it fell behind, that it is twice as far behind
            as was reported, that it has caught up.
        """
        lag_ns = now_ns - oldest_ns
        if lag_ns < BEHIND_NS:
            return None if self._since_ns is None else self._caught_up(oldest_ns, now_ns)
        if self._since_ns is None:
            self._since_ns = oldest_ns
        self._most_ns = max(self._most_ns, lag_ns)
        if self._most_ns < 2 * self._told_ns:
            return None
        return self._report(now_ns, None)

    def finish(self, now_ns: int) -> ObservationEvent | None:
        """Return how far behind it was at the end, if that was not reported yet."""
        if self._since_ns is None or self._most_ns == self._told_ns:
            return None
        return self._report(now_ns, None)

    def _caught_up(self, until_ns: int, now_ns: int) -> ObservationEvent:
        report = self._report(now_ns, until_ns)
        self._since_ns, self._most_ns, self._told_ns = None, 0, 0
        return report

    def _report(self, now_ns: int, until_ns: int | None) -> ObservationEvent:
        self._told_ns = self._most_ns
        values = {
            "reading": "behind",
            "behind_ns": self._most_ns,
            "since_boot_ns": self._since_ns,
            "until_boot_ns": until_ns,
        }
        return ObservationEvent(now_ns, TRACER_SOURCE, None, values)


def say_lag(event: ObservationEvent) -> str:
    """Say in words what :class:`Lag` reported."""
    behind = f"{event.values['behind_ns'] / 1e9:.1f} s"
    if event.values["until_boot_ns"] is not None:
        return f"caught up after being up to {behind} behind"
    return (
        f"{behind} behind: stopped, paused or short of CPU time; /proc and cgroups were read late"
    )


def say_unread(unread: LossEvent, now_ns: int) -> str:
    """Say how much of what was seen is not in the report of a trace that had to end."""
    behind_s = (now_ns - (unread.since_boot_ns or 0)) / 1e9
    return (
        f"ended {behind_s:.1f} s behind: the last {sum(unread.lost.values())} events were not"
        " read, and count as lost"
    )
