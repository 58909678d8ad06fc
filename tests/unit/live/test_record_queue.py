"""Records of a namespace that merely has the inode of the one that is traced."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.reports import BEGIN_NS, WEB
from tracer.errors import TargetNotFoundError
from tracer.live.record_queue import RecordQueue
from tracer.wire.layout import RECORD

START_NS = WEB.init_start_boot_ns or 0


class Silent:
    """A source in whose ring nothing is."""

    def read(self, timeout_s: float | None) -> np.ndarray[tuple[int], np.dtype[np.void]]:
        return np.zeros(0, RECORD)

    def finish(self) -> np.ndarray[tuple[int], np.dtype[np.void]]:
        return np.zeros(0, RECORD)


def some_records(*inits: tuple[int, int]) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """One record for each (inode of a PID namespace, start of its init), numbered from 1."""
    records = np.zeros(len(inits), RECORD)
    records["boot_ns"] = BEGIN_NS
    records["host_pid"] = np.arange(1, len(inits) + 1)
    records["pidns_inum"] = [inum for inum, _ in inits]
    records["init_start_boot_ns"] = [start for _, start in inits]
    return records


def the_inits_record(start_boot_ns: int) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    record = np.zeros(1, RECORD)
    record["host_pid"], record["start_boot_ns"] = WEB.init_host_pid, start_boot_ns
    return record


@pytest.fixture
def queue() -> RecordQueue:
    return RecordQueue(Silent(), lambda: BEGIN_NS, lambda records: None)  # type: ignore[arg-type]


def test_records_of_the_next_namespace_with_that_inode_are_left_out(queue: RecordQueue) -> None:
    queue.identify(the_inits_record(START_NS), [WEB])
    queue.add_seed(
        some_records(
            (WEB.pidns_inum, START_NS),
            (WEB.pidns_inum, START_NS + 10**9),
            # A start that is not known is no other one; and another inode is not ours to judge.
            (WEB.pidns_inum, 0),
            (WEB.pidns_inum + 1, START_NS + 10**9),
        )
    )
    queue.finish()
    assert queue.take_chunk()["host_pid"].tolist() == [1, 3, 4]


def test_a_container_known_by_its_cgroup_excludes_no_records(queue: RecordQueue) -> None:
    queue.identify(the_inits_record(START_NS), [replace(WEB, has_own_pidns=False)])
    queue.add_seed(some_records((WEB.pidns_inum, START_NS), (WEB.pidns_inum, START_NS + 10**9)))
    queue.finish()
    assert queue.take_chunk()["host_pid"].tolist() == [1, 2]


@pytest.mark.parametrize("seed", [the_inits_record(START_NS + 10**9), np.zeros(0, RECORD)])
def test_a_container_whose_init_is_another_by_now_is_not_traced(
    queue: RecordQueue, seed: np.ndarray[tuple[int], np.dtype[np.void]]
) -> None:
    with pytest.raises(TargetNotFoundError, match="exited before it could be traced"):
        queue.identify(seed, [WEB])
