"""Releases that the kernel did not tell of are found out, each once."""

from __future__ import annotations

import numpy as np
import pytest

from tracer.kernel.sweep import (
    LONGEST_PAUSE_S,
    OVERDUE_AT_LEAST,
    OVERDUE_NS,
    SHORTEST_PAUSE_S,
    Records,
    ReleaseSweep,
)
from tracer.wire.layout import CONSTANTS, RECORD

DEAD = CONSTANTS["ZT_F_GROUP_DEAD"]


def records(
    kind: str, *pids: int, flags: int = DEAD, start: int = 1000, parent: int = 1
) -> Records:
    made = np.zeros(len(pids), RECORD)
    made["kind"] = CONSTANTS[f"ZT_KIND_{kind}"]
    made["host_pid"] = pids
    made["start_boot_ns"] = np.asarray(pids, np.uint64) + np.uint64(start)
    made["flags"] = flags
    made["parent_host_pid"] = parent
    made["cur_host_pid"] = 77
    return made


class Kernel:
    """What is dead and there, what is followed, and the time."""

    def __init__(self, *there: int) -> None:
        self.there = set(there)
        self.followed = set(there)
        self.parent = 1
        self.now_s = 0.0
        self.pass_s = 0.0
        self.passes = 0

    def sweep(self) -> ReleaseSweep:
        return ReleaseSweep(self._list_dead, self._forget, lambda: self.now_s)

    def _list_dead(self) -> Records:
        self.passes += 1
        self.now_s += self.pass_s
        return records("PROCESS", *sorted(self.there), parent=self.parent)

    def _forget(self, keys: bytes) -> list[int]:
        pids = [int.from_bytes(keys[at + 8 : at + 12], "little") for at in range(0, len(keys), 16)]
        absent = [place for place, pid in enumerate(pids) if pid not in self.followed]
        self.followed -= set(pids)
        return absent


def test_nothing_dead_needs_no_pass() -> None:
    kernel = Kernel()
    sweep = kernel.sweep()
    sweep.observe(records("FORK", 5, flags=0))
    assert sweep.due_in_s is None
    assert len(sweep.sweep(1)) == 0
    assert kernel.passes == 0


def test_a_leader_with_live_threads_is_not_dead() -> None:
    sweep = Kernel().sweep()
    sweep.observe(records("EXIT", 5, flags=0))
    assert sweep.due_in_s is None


def test_what_the_kernel_reports_is_not_reported_again() -> None:
    for kind in ("FREE", "REAP"):
        kernel = Kernel()
        sweep = kernel.sweep()
        sweep.observe(records("EXIT", 5, 6))
        sweep.observe(records(kind, 5, 6, flags=0))
        assert len(sweep.sweep(1)) == 0
        assert sweep.due_in_s is None


def test_a_zombie_that_is_there_is_not_released() -> None:
    kernel = Kernel(5)
    sweep = kernel.sweep()
    sweep.observe(records("EXIT", 5))
    for now in range(5):
        assert len(sweep.sweep(now)) == 0
    assert sweep.is_pending


def test_what_is_gone_twice_is_reported_as_last_seen() -> None:
    kernel = Kernel(5)
    sweep = kernel.sweep()
    sweep.observe(records("EXIT", 5, parent=2))
    kernel.parent = 3
    sweep.sweep(1)
    kernel.there.clear()
    assert len(sweep.sweep(2)) == 0
    (free,) = sweep.sweep(3)
    assert free["kind"] == CONSTANTS["ZT_KIND_FREE"]
    assert (free["host_pid"], free["start_boot_ns"]) == (5, 1005)
    assert (free["boot_ns"], free["parent_host_pid"]) == (3, 3)
    assert (free["cur_host_pid"], free["sys_nr"]) == (0, -1)
    assert not sweep.is_pending
    assert kernel.followed == set()


@pytest.mark.parametrize("fewer", [0, 1])
def test_many_that_are_long_overdue_are_reported_at_the_first_sighting(fewer: int) -> None:
    kernel = Kernel()
    pids = range(5, 5 + OVERDUE_AT_LEAST + 1 - fewer)
    kernel.followed = set(pids)
    sweep = kernel.sweep()
    exits = records("EXIT", *pids)
    exits["boot_ns"][0] = 1
    sweep.observe(exits)
    told = [sweep.sweep(OVERDUE_NS)["host_pid"].tolist() for _ in range(2)]
    late = list(pids)[1:]
    assert told == ([late, [5]] if not fewer else [[], [5, *late]])


def test_what_was_seen_as_a_zombie_has_been_there_until_lately(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tracer.kernel.sweep.OVERDUE_AT_LEAST", 1)
    kernel = Kernel(5)
    sweep = kernel.sweep()
    sweep.observe(records("EXIT", 5))
    assert len(sweep.sweep(OVERDUE_NS)) == 0
    kernel.there.clear()
    assert len(sweep.sweep(2 * OVERDUE_NS)) == 0
    assert len(sweep.sweep(2 * OVERDUE_NS)) == 1


def test_a_seeded_zombie_is_followed_too() -> None:
    kernel = Kernel(5)
    sweep = kernel.sweep()
    sweep.observe(np.concatenate([records("PROCESS", 4, flags=0), records("PROCESS", 5)]))
    kernel.there.clear()
    sweep.sweep(1)
    assert sweep.sweep(2)["host_pid"].tolist() == [5]


def test_where_the_kernel_was_faster_its_record_is_waited_for() -> None:
    kernel = Kernel(5)
    sweep = kernel.sweep()
    sweep.observe(records("EXIT", 5))
    kernel.there.clear()
    kernel.followed.clear()
    sweep.sweep(1)
    assert len(sweep.sweep(2)) == 0
    sweep.observe(records("FREE", 5, flags=0))
    assert len(sweep.sweep(3)) == 0
    assert not sweep.is_pending


def test_a_record_that_was_dropped_is_made_up_for() -> None:
    kernel = Kernel(5)
    sweep = kernel.sweep()
    sweep.observe(records("EXIT", 5))
    kernel.there.clear()
    kernel.followed.clear()
    assert [len(sweep.sweep(now)) for now in range(4)] == [0, 0, 1, 0]


def test_at_the_end_one_sighting_is_enough() -> None:
    kernel = Kernel(6)
    sweep = kernel.sweep()
    sweep.observe(records("EXIT", 5, 6))
    assert sweep.sweep(1, is_last=True)["host_pid"].tolist() == [5]


def test_a_number_used_again_is_another_process() -> None:
    kernel = Kernel(5)
    sweep = kernel.sweep()
    sweep.observe(records("EXIT", 5, start=900))
    sweep.sweep(1)
    kernel.followed = set()
    assert len(sweep.sweep(2)) == 0
    (free,) = sweep.sweep(3)
    assert free["start_boot_ns"] == 905


def test_passes_become_rare_while_nothing_changes_and_frequent_when_it_does() -> None:
    kernel = Kernel(5)
    sweep = kernel.sweep()
    sweep.observe(records("EXIT", 5))
    pauses = []
    for now in range(6):
        assert sweep.due_in_s is not None
        pauses.append(sweep.due_in_s)
        kernel.now_s += sweep.due_in_s
        sweep.sweep(now)
    assert pauses[0] == SHORTEST_PAUSE_S
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_S
    sweep.observe(records("EXIT", 6))
    assert sweep.due_in_s == pytest.approx(SHORTEST_PAUSE_S)


def test_a_slow_pass_is_made_seldom() -> None:
    kernel = Kernel(5)
    kernel.pass_s = 0.1
    sweep = kernel.sweep()
    sweep.observe(records("EXIT", 5))
    sweep.sweep(1)
    assert sweep.due_in_s is not None
    assert sweep.due_in_s >= 50 * kernel.pass_s


@pytest.mark.parametrize("are_listed", [False, True])
def test_an_opened_lifetime_was_seen_where_it_was_listed(are_listed: bool) -> None:
    # Opened by a hook it may be over: its number was used again.
    kernel = Kernel()
    kernel.followed = {7}
    sweep = kernel.sweep()
    opened = records("LIFETIME", 7)
    opened["exit_ns"], opened["notified_ns"], opened["boot_ns"] = 5_000, 6_000, 90_000
    sweep.observe(opened, are_listed=are_listed)
    kernel.now_s += 10
    assert len(sweep.sweep(100_000)) == 0
    (free,) = sweep.sweep(200_000)
    assert free["kind"] == CONSTANTS["ZT_KIND_FREE"]
    assert int(free["cur_start_boot_ns"]) == (90_000 if are_listed else 6_000)
