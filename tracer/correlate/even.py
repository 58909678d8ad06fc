"""Choosing which processes to report in detail where there is no room for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

_T = TypeVar("_T")


def even_out(
    groups: Sequence[list[_T]],
    most: int,
    rank: Callable[[_T], Any],
    gravity: Callable[[_T], int],
) -> tuple[list[tuple[list[_T], list[_T]]], list[_T]]:
    """Choose which of some groups' members to keep: of each as many as there is room for.

    Args:
        groups: Of what is alike; none is empty.
        most: How many to keep in all.
        rank: Within a group the smallest stay.
        gravity: Where there is no room for one of each group, those of the smallest stay.

    Returns:
        Of each group that stays, who stays, the first by rank first, and who goes; and
        all of the groups that go.
    """
    rest: list[_T] = []
    stay = list(groups)
    if len(stay) > most:
        stay.sort(key=lambda group: gravity(group[0]))
        rest = [one for group in stay[most:] for one in group]
        stay = stay[:most]
    room, level, left = most, 0, len(stay)
    for size in sorted(len(group) for group in stay):
        level = max(1, room // left)
        if size > level:
            break
        room -= size
        left -= 1
        level = size
    evened = []
    for group in stay:
        group.sort(key=rank)
        evened.append((group[:level], group[level:]))
    return evened, rest
