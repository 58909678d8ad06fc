"""Pids in few words."""

from __future__ import annotations

from collections.abc import Iterable

_MAX_RANGES = 4


def format_pids(pids: Iterable[int]) -> str:
    """Write pids as ranges, the first few of them.

    >>> format_pids([7]), format_pids([3, 1, 2, 9])
    ('pid 7', 'pids 1-3, 9')
    """
    ranges: list[tuple[int, int]] = []
    for pid in sorted(set(pids)):
        if ranges and pid == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], pid)
        else:
            ranges.append((pid, pid))
    parts = [str(low) if low == high else f"{low}-{high}" for low, high in ranges[:_MAX_RANGES]]
    word = "pid" if len(ranges) == 1 and ranges[0][0] == ranges[0][1] else "pids"
    left = sum(high - low + 1 for low, high in ranges[_MAX_RANGES:])
    more = f" and {left} more" if left else ""
    return f"{word} {', '.join(parts)}{more}"
