"""The ring is looked after while a live trace is at work on what came before."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support.clock import SetClock
from tests.support.events import BEGIN, INIT, SHIM, WEB, a_reap, a_seed, an_exit, attached
from tests.support.made_host import BEGIN_NS, SECOND_NS, MadeHost
from tracer.cli.passed_output import PassedCount
from tracer.kernel.source import TARGET_RING_BYTES
from tracer.live.callbacks import TraceCallbacks
from tracer.live.drain_policy import DrainPolicy
from tracer.live.interrupts import Interrupts
from tracer.live.record_queue import RecordQueue
from tracer.live.trace import Trace
from tracer.live.trace_options import TraceOptions
from tracer.model.annotated import Annotated
from tracer.model.events import HookState, LossEvent
from tracer.model.target import KernelFilter, Target
from tracer.model.verdicts import ReapKind

if TYPE_CHECKING:
    import numpy.typing as npt

HOST = MadeHost(short_lived=100, killed=2_000, leaked=1, containers=0)
HOST_RECORDS = np.concatenate(list(HOST.records()))
RING_RECORDS = 2_000
LATER = SetClock(BEGIN_NS + 86_400 * SECOND_NS)
"""All of the made-up host is over, however short the machine has been up."""
AT_ONCE = 400
"""How many come into the ring while one part of a batch is worked off."""


class SmallRing:
    """A ring into which records go on coming, whoever is busy: what does not fit is lost."""

    name = "bpf"

    def __init__(self) -> None:
        self._coming = HOST_RECORDS
        self._first, self._coming = np.split(self._coming, [len(self._coming) // 2])
        self._ring = self._first[:0]
        self._fd = os.eventfd(1)
        self.lost = 0

    def _come(self) -> None:
        self._ring = np.concatenate([self._ring, self._coming[:AT_ONCE]])
        self._coming = self._coming[AT_ONCE:]
        self.lost += max(0, len(self._ring) - RING_RECORDS)
        self._ring = self._ring[:RING_RECORDS]

    def set_filter(self, kernel_filter: KernelFilter) -> None:
        assert kernel_filter.everything

    def attach(self) -> tuple[HookState, ...]:
        return HOST.attached.hooks

    def seed(self) -> npt.NDArray[np.void]:
        return self._first[:0]

    def read(self, timeout_s: float | None) -> npt.NDArray[np.void]:
        if not len(self._first) and not len(self._ring):
            # Time passes while nobody is busy, too.
            self._come()
        # All that the first half of the storm left comes at once.
        taken, self._first = np.concatenate([self._first, self._ring]), self._first[:0]
        self._ring = self._ring[:0]
        return taken

    def finish(self) -> npt.NDArray[np.void]:
        return self.read(0.0)

    def take_losses(self) -> Mapping[str, int]:
        return {}

    capacity = RING_RECORDS

    @property
    def filled(self) -> float:
        return len(self._ring) / RING_RECORDS

    def fold(self, min_zombie_ns: int | None) -> None:
        """What it tells is made up, folded or not."""

    folded_alive = 0

    def urgent_fileno(self) -> int:
        return self.fileno()

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        os.close(self._fd)

    def on_event(self, number: int) -> bool:
        """Let time pass as an event is told; whether there is no more to come."""
        if number % 512 == 0:
            self._come()
        return not len(self._coming)


@pytest.fixture
def source() -> Iterator[SmallRing]:
    one = SmallRing()
    yield one
    one.close()


@pytest.fixture
def queue(source: SmallRing) -> RecordQueue:
    return RecordQueue(source, lambda: 1 << 62, lambda records: None)


def drain_policy(source: SmallRing, queue: RecordQueue) -> DrainPolicy:
    return DrainPolicy(queue, source, is_seen=True)


def test_what_is_stowed_is_taken_in_later_however_much_it_is(
    source: SmallRing, queue: RecordQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracer.live.record_queue._MAX_BACKLOG", 3 * AT_ONCE)
    source.read(0.0)
    while not source.lost:
        source.on_event(0)
        drain_policy(source, queue).drain_while_waiting()
    assert (queue.has_backlog, queue.is_holding) == (False, True)
    spilled = queue.pull()
    assert spilled > 3 * AT_ONCE
    assert queue.pull() == 0
    taken = 0
    while queue.has_backlog:
        taken += len(queue.take_part())
    assert taken == spilled
    # There is room again.
    assert queue.pull() == RING_RECORDS


def test_what_waits_for_a_tracer_without_cpu_time_is_bounded(
    source: SmallRing, queue: RecordQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = np.resize(HOST_RECORDS, TARGET_RING_BYTES // HOST_RECORDS.itemsize)
    monkeypatch.setattr(source, "read", lambda timeout_s: full.copy())
    while queue.pull():
        pass
    waiting_bytes = 0
    while queue.has_backlog:
        waiting_bytes += queue.take_part().nbytes
    # A fifth of the 150 MB that a trace may take in all.
    assert waiting_bytes < 30_000_000


def test_after_the_end_the_ring_is_left_alone(source: SmallRing, queue: RecordQueue) -> None:
    source.on_event(0)
    queue.finish()
    source.on_event(0)
    source.on_event(0)
    assert source.filled >= 0.25
    policy = drain_policy(source, queue)
    policy.drain_while_waiting()
    assert (queue.pull(), policy.drain_if_filling()) == (0, 0)
    assert source.filled >= 0.25


def test_a_large_batch_of_which_little_is_passed_over_loses_nothing_of_the_next(
    source: SmallRing,
) -> None:
    events = 0

    def sink(annotated: object) -> None:
        nonlocal events
        events += 1
        if source.on_event(events) and not len(source._ring):
            trace.end("all given")

    with Interrupts() as interrupts:
        trace = Trace(
            source,
            HOST.attached.target,
            TraceOptions(min_zombie_ns=SECOND_NS, until_ended=False),
            interrupts,
            TraceCallbacks(sinks=(sink,), passed_sink=PassedCount(lambda lifetimes: None)),
            clock=LATER,
        )
        trace.attach()
        report = trace.run()
    assert source.lost == 0
    killed = [process for process in report.processes if process.term_signal is not None]
    assert len(killed) == HOST.killed


@pytest.mark.parametrize("reason", ["interrupted", "target ended"])
def test_who_asks_for_the_end_does_not_wait_for_all_that_is_unread(
    source: SmallRing, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    monkeypatch.setattr("tracer.live.trace._LAST_S", 0.0)
    monkeypatch.setattr("tracer.live.trace._TURN_S", 0.0)
    monkeypatch.setattr("tracer.live.trace._LINGER_S", 0.0)
    waiting, told = len(source._first), 0
    notices: list[str] = []

    def sink(annotated: Annotated) -> None:
        nonlocal told
        told += not isinstance(annotated.event, LossEvent)

    with Interrupts() as interrupts:
        trace = Trace(
            source,
            HOST.attached.target,
            TraceOptions(min_zombie_ns=SECOND_NS, until_ended=False, detail=None),
            interrupts,
            TraceCallbacks(sinks=(sink,), on_notice=notices.append),
            clock=LATER,
        )
        trace.attach()
        trace.end(reason)
        report = trace.run()
    lost = sum(report.lost.values())
    if reason == "interrupted":
        assert lost == waiting
        assert not report.complete
        assert f"the last {waiting} events were not read" in notices[-1]
    else:
        # Nobody waits, and how it ended is what was to be seen.
        assert lost == 0
        assert told > waiting / 2


class Restarts(SmallRing):
    """A source that gets one container after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.filters: list[KernelFilter] = []
        self.seeds: list[int] = []

    def set_filter(self, kernel_filter: KernelFilter) -> None:
        self.filters.append(kernel_filter)

    def seed(self) -> npt.NDArray[np.void]:
        records = np.zeros(len(self.seeds), HOST_RECORDS.dtype)
        records["host_pid"] = self.seeds
        return records


@pytest.mark.parametrize("is_reaped", [True, False])
def test_past_runs_of_a_followed_container_leave_the_kernels_filter(is_reaped: bool) -> None:
    source = Restarts()
    first = KernelFilter(pidns_inums=frozenset({WEB.pidns_inum}))
    target = Target("web", first, (WEB,))
    trace = Trace(
        source, target, TraceOptions(min_zombie_ns=0), Interrupts(), TraceCallbacks(), clock=LATER
    )
    end = (an_exit(BEGIN + 10, INIT, signo=9), a_reap(BEGIN + 11, INIT, by=SHIM))
    for event in (attached(WEB), a_seed(INIT), *end[: 2 if is_reaped else 1]):
        trace.correlator.feed(event)
    second = replace(WEB, init_host_pid=200, pidns_inum=WEB.pidns_inum + 1)
    source.seeds = [200]
    assert trace.add_container(second)
    old = set() if is_reaped else {WEB.pidns_inum}
    assert source.filters[-1].pidns_inums == old | {second.pidns_inum}
    # The one that has just come was not met yet: it is not taken for gone.
    third = replace(WEB, id="other", init_host_pid=201, pidns_inum=WEB.pidns_inum + 2)
    source.seeds = [200, 201]
    assert trace.add_container(third)
    assert source.filters[-1].pidns_inums == old | {second.pidns_inum, third.pidns_inum}
    source.close()


LAST_RELEASE = np.concatenate(
    list(MadeHost(short_lived=0, killed=1, leaked=0, containers=0).records())
)
LAST_RELEASE = LAST_RELEASE[np.argsort(LAST_RELEASE["boot_ns"], kind="stable")]


class LateRelease(SmallRing):
    """A ring into which the last release comes a while after the trace was asked to end."""

    def __init__(self) -> None:
        super().__init__()
        self._first, self._last = LAST_RELEASE[:-1], LAST_RELEASE[-1:]
        self._coming = self._first[:0]
        self.reads = 0

    def read(self, timeout_s: float | None) -> npt.NDArray[np.void]:
        self.reads += 1
        if self.reads == 2:
            self._ring = self._last
        return super().read(timeout_s)


def test_a_release_that_comes_a_while_after_the_end_is_waited_for() -> None:
    source = LateRelease()
    with Interrupts() as interrupts:
        trace = Trace(
            source,
            HOST.attached.target,
            TraceOptions(min_zombie_ns=SECOND_NS, until_ended=False, detail=None),
            interrupts,
            TraceCallbacks(),
            clock=LATER,
        )
        trace.attach()
        source.reads = 0
        trace.end("target ended")
        report = trace.run()
    source.close()
    (victim,) = [one for one in report.processes if one.term_signal is not None]
    assert victim.reap_kind is ReapKind.PARENT
