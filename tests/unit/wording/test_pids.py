"""Pids as a report writes them."""

from __future__ import annotations

import pytest

from tracer.wording.pids import format_pids


@pytest.mark.parametrize(
    ("pids", "expected"),
    [
        ([7], "pid 7"),
        ([7, 7], "pid 7"),
        ([3, 1, 2, 9], "pids 1-3, 9"),
        (range(1, 100, 2), "pids 1, 3, 5, 7 and 46 more"),
    ],
)
def test_pids_are_written_as_ranges(pids: list[int], expected: str) -> None:
    assert format_pids(pids) == expected
