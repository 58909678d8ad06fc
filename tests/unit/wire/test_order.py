"""Records come out in order of time, and none is held for long or lost."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.wire.layout import RECORD, gather_records
from tracer.wire.sorter import TimeOrder

WINDOW_NS = 100


def records(*stamps: int) -> npt.NDArray[np.void]:
    batch = np.zeros(len(stamps), RECORD)
    batch["boot_ns"] = stamps
    return batch


def stamps_of(parts: list[npt.NDArray[np.void]]) -> list[int]:
    assert all(len(part) for part in parts)
    return [stamp for part in parts for stamp in part["boot_ns"].tolist()]


def test_neighbours_swapped_between_cpus_come_out_sorted() -> None:
    order = TimeOrder(WINDOW_NS)
    assert stamps_of(order.push(records(12, 10, 11), 1_000)) == [10, 11, 12]


def test_what_is_younger_than_the_window_waits_for_the_next_drain() -> None:
    order = TimeOrder(WINDOW_NS)
    assert stamps_of(order.push(records(850, 950), 1_000)) == [850]
    assert order.is_holding
    assert stamps_of(order.push(records(920), 1_100)) == [920, 950]
    assert not order.is_holding


def test_a_record_later_than_the_window_is_passed_on_and_counted() -> None:
    order = TimeOrder(WINDOW_NS)
    order.push(records(500), 1_000)
    assert stamps_of(order.push(records(400), 1_000)) == [400]
    assert (order.late, order.oldest_late_ns) == (1, 400)
    order.push(records(300, 350, 800), 1_000)
    assert (order.late, order.oldest_late_ns) == (3, 300)


def test_equal_stamps_keep_the_order_of_the_ring() -> None:
    batch = records(5, 5, 5)
    batch["host_pid"] = [3, 1, 2]
    (released,) = TimeOrder(WINDOW_NS).push(batch, 1_000)
    assert released["host_pid"].tolist() == [3, 1, 2]


def test_records_are_gathered_through_several_arrays_and_none_that_is_not_there() -> None:
    parts = [records(1, 2), records(), records(3, 4, 5)]
    assert gather_records(parts, np.array([0, 2, 4]))["boot_ns"].tolist() == [1, 3, 5]
    with pytest.raises(IndexError, match="no record 5"):
        gather_records(parts, np.array([0, 5]))


@given(
    st.lists(st.lists(st.integers(min_value=0, max_value=WINDOW_NS - 1), max_size=8), max_size=12)
)
def test_any_disorder_within_the_window_is_mended_and_nothing_is_lost(
    jitters: list[list[int]],
) -> None:
    """Each drain brings records stamped up to a window before the drain began."""
    order = TimeOrder(WINDOW_NS)
    pushed: list[int] = []
    out: list[int] = []
    now = 1_000
    for jitter in jitters:
        now += WINDOW_NS
        batch = [now - late for late in jitter]
        pushed += batch
        out += stamps_of(order.push(records(*batch), now))
    out += stamps_of(order.flush())
    assert out == sorted(pushed)
    assert order.late == 0
