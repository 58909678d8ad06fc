"""Numbers of the C header, and numbers made of a pid and a start."""

from __future__ import annotations

import numpy as np
import pytest

from tracer.wire.header import parse_constants
from tracer.wire.process_ids import is_in, process_ids


def test_numbers_and_shifts_are_read_and_all_else_is_not() -> None:
    header = (
        "#define A 3\n#define B (1u << 4)\n#define C (3 << 2)  \n#define D\n#define E sizeof(int)\n"
        "#define F(x) 7\n#define G -1\n#define H 0x10\n"
    )
    assert parse_constants(header) == {"A": 3, "B": 16, "C": 12}


@pytest.mark.parametrize(
    ("values", "members", "found"),
    [
        ([], [1], []),
        ([1, 2], [], [False, False]),
        ([0, 1, 2, 3, 9], [1, 3], [False, True, False, True, False]),
        # Behind the last member there is none to compare with.
        ([9], [9], [True]),
        ([10], [9], [False]),
    ],
)
def test_members_are_found(values: list[int], members: list[int], found: list[bool]) -> None:
    assert is_in(np.array(values), np.array(members)).tolist() == found


def test_processes_of_one_pid_or_of_one_start_have_numbers_of_their_own() -> None:
    pids, starts = [7, 7, 8, 1 << 22 - 1], [100, 101, 100, 100]
    ids = process_ids(np.array(pids, np.uint32), np.array(starts, np.uint64))
    assert len(set(ids.tolist())) == 4
    assert ids.dtype == np.uint64
