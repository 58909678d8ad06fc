"""Folded lives as user space looks after them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tracer.kernel.folded import FoldedLifetimes
from tracer.kernel.sweep import OVERDUE_AT_LEAST
from tracer.wire.layout import CONSTANTS, RECORD

SECOND_NS = 1_000_000_000
NOW_NS = 1_000 * SECOND_NS
_LIFE = np.dtype(
    [("so_far", RECORD), *((name, "u8") for name in ("opened", "touched", "unsent", "seen_ns"))]
)


class Table:
    """The maps zt_lifetimes and zt_numbers, and a clock."""

    def __init__(self) -> None:
        self.lives: list[Any] = []
        self.numbers = SimpleNamespace(memory=bytearray(6 * 8))
        self.now_s = 100.0
        self.there: list[int] = []
        lives: Any = self
        numbers: Any = self.numbers
        self.cpu_s = 0.0
        self.folded = FoldedLifetimes(
            self.list_folded,
            lives,
            numbers,
            SECOND_NS,
            clock=lambda: self.now_s,
            cpu_clock=lambda: self.cpu_s,
        )

    def add(self, pid: int, *, exit_ns: int, opened: bool = False) -> None:
        life = np.zeros(1, _LIFE)
        life["so_far"]["kind"] = CONSTANTS["ZT_KIND_LIFETIME"]
        life["so_far"]["host_pid"], life["so_far"]["start_boot_ns"] = pid, pid * 1000
        life["so_far"]["exit_ns"] = exit_ns
        life["opened"] = opened
        self.lives.append(life)
        self.count()

    def count(self) -> None:
        dead = sum(bool(life["so_far"]["exit_ns"][0]) for life in self.lives)
        self.numbers.memory[16:24] = dead.to_bytes(8, "little")

    def list_folded(self) -> bytearray:
        """What bpf/folded.c writes."""
        lives = [life for life in self.lives if not life["opened"] and life["so_far"]["exit_ns"]]
        return bytearray().join(life["so_far"].tobytes() for life in lives)

    def delete_each(self, keys: bytes) -> list[int]:
        pids = np.frombuffer(keys, "u8,u4,u4")["f1"].tolist()
        absent = []
        for place, pid in enumerate(pids):
            left = [life for life in self.lives if life["so_far"]["host_pid"][0] != pid]
            if len(left) == len(self.lives):
                absent.append(place)
            self.lives = left
        return absent

    def list_dead(self) -> Any:
        listed = np.zeros(len(self.there), RECORD)
        listed["host_pid"] = self.there
        listed["start_boot_ns"] = [pid * 1000 for pid in self.there]
        return listed

    def due_in_s(self) -> float | None:
        return self.folded.due_in_s

    def sweep(self) -> list[int]:
        self.now_s += 10
        told = self.folded.sweep(self.list_dead, NOW_NS)
        for flag in ("ZT_F_RELEASED", "ZT_F_FOUND"):
            assert ((told["flags"] & CONSTANTS[flag]) != 0).all()
        pids: list[int] = told["host_pid"].tolist()
        return pids


@pytest.fixture
def table() -> Table:
    return Table()


def test_nothing_is_due_while_no_one_is_dead(table: Table) -> None:
    table.add(7, exit_ns=0)
    assert table.due_in_s() is None
    table.add(8, exit_ns=NOW_NS)
    due_s = table.due_in_s()
    assert due_s is not None
    assert 0 < due_s <= 0.5
    table.now_s += due_s
    assert table.due_in_s() == 0


def test_an_unreported_process_that_is_gone_is_reported_at_the_second_look(table: Table) -> None:
    table.add(7, exit_ns=NOW_NS - SECOND_NS // 2)
    table.add(8, exit_ns=NOW_NS - SECOND_NS // 2)
    table.there = [8]
    assert table.sweep() == []
    assert table.sweep() == [7]
    assert [int(life["so_far"]["host_pid"][0]) for life in table.lives] == [8]


def test_where_many_unreported_processes_are_gone_they_are_reported_at_the_first_look(
    table: Table,
) -> None:
    for pid in range(OVERDUE_AT_LEAST):
        table.add(pid + 1, exit_ns=NOW_NS - SECOND_NS // 2)
    assert len(table.sweep()) == OVERDUE_AT_LEAST


def test_a_look_that_waits_for_a_busy_processor_does_not_put_the_next_one_off(
    table: Table,
) -> None:
    table.add(7, exit_ns=NOW_NS)
    list_dead = table.list_dead

    def list_slowly(cpu_s: float) -> Any:
        table.now_s += 1
        table.cpu_s += cpu_s
        return list_dead()

    table.folded.sweep(lambda: list_slowly(0.001), NOW_NS)
    assert table.due_in_s() == pytest.approx(0.5)
    # One that takes a processor for long does.
    table.folded.sweep(lambda: list_slowly(0.1), NOW_NS)
    assert table.due_in_s() == pytest.approx(2.0)


def test_who_has_just_died_or_was_opened_is_not_reported(table: Table) -> None:
    table.add(7, exit_ns=NOW_NS - 1_000_000)
    table.add(8, exit_ns=NOW_NS - SECOND_NS, opened=True)
    table.add(9, exit_ns=0)
    assert [table.sweep() for _ in range(3)] == [[], [], []]


def test_who_comes_back_between_two_looks_was_only_overlooked(table: Table) -> None:
    table.add(7, exit_ns=NOW_NS - SECOND_NS // 2)
    assert table.sweep() == []
    table.there = [7]
    assert table.sweep() == []
    table.there = []
    assert table.sweep() == []
    assert table.sweep() == [7]


def test_a_death_that_was_counted_twice_does_not_keep_us_awake(table: Table) -> None:
    table.numbers.memory[16:24] = (1).to_bytes(8, "little")
    assert table.due_in_s() is not None
    assert table.sweep() == []
    assert table.due_in_s() is None
    table.numbers.memory[16:24] = (2).to_bytes(8, "little")
    assert table.due_in_s() is not None


def test_at_the_end_all_who_ended_before_are_reported(table: Table) -> None:
    table.add(7, exit_ns=NOW_NS - 5)
    table.add(8, exit_ns=NOW_NS + 5)
    table.add(9, exit_ns=0)
    closed = table.folded.close_gone(NOW_NS, NOW_NS + 9)
    assert closed["host_pid"].tolist() == [7]
    assert closed["boot_ns"].tolist() == [NOW_NS + 9]
