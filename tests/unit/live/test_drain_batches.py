"""How long records gather in the ring: longer where the last drain met a storm."""

from __future__ import annotations

import select
from types import SimpleNamespace

import pytest

from tracer.live import drain_policy
from tracer.live.drain_policy import DrainPolicy

RING_FD, URGENT_FD = 3, 4
BATCH_S, STORM_BATCH_S = 0.02, 0.5


class Ring:
    """Queue and source of a ring that fills at a steady rate; its clock moves only in waits."""

    has_backlog = False
    is_finished = False

    def __init__(self, records_a_s: int) -> None:
        self.records_a_s = records_a_s
        self.now_s = 100.0
        self._emptied_s = self.now_s
        self.is_urgent = False

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, duration_s: float) -> None:
        self.now_s += duration_s

    def pull(self) -> int:
        records = round((self.now_s - self._emptied_s) * self.records_a_s)
        self._emptied_s = self.now_s
        return records

    def fileno(self) -> int:
        return RING_FD

    def urgent_fileno(self) -> int:
        return URGENT_FD

    @property
    def filled(self) -> float:
        return 1.0 - self.room_lasts_s

    @property
    def room_lasts_s(self) -> float:
        return 1.0 - (self.now_s - self._emptied_s) * self.records_a_s / 1_000_000

    def poll(self) -> Poll:
        return Poll(self)

    def drain_s(self, policy: DrainPolicy) -> float:
        """How long one drain takes."""
        began_s = self.now_s
        policy.drain(has_records=True)
        return self.now_s - began_s


class Poll:
    """select.poll() on the ring, or on what tells of an urgent record."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._fd: int | None = None

    def register(self, fd: int, _mask: int) -> None:
        self._fd = fd

    def poll(self, timeout_ms: float) -> list[tuple[int, int]]:
        is_ready = self._ring.records_a_s > 0 if self._fd == RING_FD else self._ring.is_urgent
        self._ring.sleep(0.001 if is_ready else timeout_ms / 1000)
        return [(self._fd or 0, select.POLLIN)] if is_ready else []


def policy_on(ring: Ring, monkeypatch: pytest.MonkeyPatch, *, is_seen: bool = True) -> DrainPolicy:
    clock = SimpleNamespace(monotonic=ring.monotonic, sleep=ring.sleep)
    monkeypatch.setattr(drain_policy, "time", clock)
    monkeypatch.setattr(
        drain_policy, "select", SimpleNamespace(poll=ring.poll, POLLIN=select.POLLIN)
    )
    policy = DrainPolicy(ring, ring, is_seen=is_seen)  # type: ignore[arg-type]
    policy.begin()
    return policy


def test_a_storm_makes_the_next_batch_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = Ring(records_a_s=50_000)
    policy = policy_on(ring, monkeypatch)
    # Nothing was known of it yet.
    assert ring.drain_s(policy) == pytest.approx(BATCH_S, abs=0.01)
    assert ring.drain_s(policy) == pytest.approx(STORM_BATCH_S, abs=0.01)


def test_few_records_are_no_storm(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = Ring(records_a_s=1_000)
    policy = policy_on(ring, monkeypatch)
    for _ in range(3):
        assert ring.drain_s(policy) == pytest.approx(BATCH_S, abs=0.01)


def test_a_storm_that_is_over_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = Ring(records_a_s=50_000)
    policy = policy_on(ring, monkeypatch)
    ring.drain_s(policy)
    ring.records_a_s = 0
    assert ring.drain_s(policy) == pytest.approx(BATCH_S, abs=0.01)


def test_an_urgent_record_ends_the_wait_of_a_storm(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = Ring(records_a_s=50_000)
    policy = policy_on(ring, monkeypatch)
    ring.drain_s(policy)
    ring.is_urgent = True
    assert ring.drain_s(policy) <= 0.05
