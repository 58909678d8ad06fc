"""When the ring is emptied: one place decides, for the loop, the dispatcher and a waiting sink."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from tracer.live.drain_policy import DrainPolicy
from tracer.live.record_queue import CHUNK

if TYPE_CHECKING:
    from tracer.live.record_queue import RecordQueue, Source


class Ring:
    """A queue and its source, which note what they are asked to do."""

    def __init__(self, filled: float, *, has_backlog: bool = False, is_finished: bool = False):
        self.filled = filled
        self.has_backlog = has_backlog
        self.is_finished = is_finished
        self.done: list[str] = []

    def pull(self) -> int:
        self.done.append("pull")
        return 7

    def spill(self) -> None:
        self.done.append("spill")


def policy_of(ring: Ring, *, gathers: bool = False) -> DrainPolicy:
    return DrainPolicy(
        cast("RecordQueue", ring), cast("Source", ring), is_seen=True, gathers=gathers
    )


@pytest.mark.parametrize(("has_records", "has_backlog"), [(False, False), (True, True)])
def test_a_turn_with_other_work_takes_only_what_is_there(
    has_records: bool, has_backlog: bool
) -> None:
    ring = Ring(0.0, has_backlog=has_backlog)
    policy_of(ring).drain(has_records=has_records)
    assert ring.done == ["pull"]


def test_a_container_s_ring_is_emptied_after_each_chunk() -> None:
    ring = Ring(0.01)
    policy = policy_of(ring)
    policy.drain_after(CHUNK - 1)
    assert ring.done == []
    policy.drain_after(1)
    assert ring.done == ["pull"]
    policy.drain_after(CHUNK - 1)
    assert ring.done == ["pull"]


@pytest.mark.parametrize(("filled", "done"), [(0.24, []), (0.25, ["pull"])])
def test_a_host_s_ring_gathers_until_it_fills(filled: float, done: list[str]) -> None:
    ring = Ring(filled)
    policy_of(ring, gathers=True).drain_after(CHUNK)
    assert ring.done == done


@pytest.mark.parametrize(("filled", "done"), [(0.24, []), (0.25, ["spill"])])
def test_a_waiting_sink_only_spills(filled: float, done: list[str]) -> None:
    ring = Ring(filled)
    policy_of(ring).drain_while_waiting()
    assert ring.done == done


def test_after_the_last_drain_the_ring_is_not_even_looked_at() -> None:
    ring = Ring(1.0, is_finished=True)
    del ring.filled
    policy = policy_of(ring)
    policy.drain_while_waiting()
    assert (policy.drain_if_filling(), ring.done) == (0, [])
