"""The ring is looked after while a live trace is at work on what came before."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.replay.made_host import BEGIN_NS, SECOND_NS, MadeHost
from tracer.model.events import ContainerEvent, HookState
from tracer.model.target import KernelFilter
from tracer.session.intake import Intake
from tracer.session.interrupts import Interrupts
from tracer.session.trace import Trace, TraceOptions

if TYPE_CHECKING:
    import numpy.typing as npt

HOST = MadeHost(short_lived=100, killed=2_000, leaked=1, containers=0)
RING_RECORDS = 2_000
AT_ONCE = 400
"""How many come into the ring while one part of a batch is worked off."""


class SmallRing:
    """A ring into which records go on coming, whoever is busy: what does not fit is lost."""

    def __init__(self) -> None:
        self._coming = np.concatenate(list(HOST.records()))
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
def intake(source: SmallRing) -> Intake:
    return Intake(source, lambda: 1 << 62, lambda records: None)


def test_what_is_stowed_is_taken_in_later_however_much_it_is(
    source: SmallRing, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracer.session.intake._MAX_BACKLOG", 3 * AT_ONCE)
    source.read(0.0)
    while not source.lost:
        source.on_event(0)
        intake.stow_if_filling()
    assert (intake.has_backlog, intake.is_holding) == (False, True)
    stowed = intake.pull()
    assert stowed > 3 * AT_ONCE
    assert intake.pull() == 0
    taken = 0
    while intake.has_backlog:
        taken += len(intake.take_part())
    assert taken == stowed
    # There is room again.
    assert intake.pull() == RING_RECORDS


def test_after_the_end_the_ring_is_left_alone(source: SmallRing, intake: Intake) -> None:
    source.on_event(0)
    intake.finish()
    source.on_event(0)
    source.on_event(0)
    assert source.filled >= 0.25
    intake.stow_if_filling()
    assert (intake.pull(), intake.pull_if_filling()) == (0, 0)
    assert source.filled >= 0.25


def test_whoever_may_be_in_a_container_is_told_before_it(
    source: SmallRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    with Interrupts() as interrupts:
        trace = Trace(
            source,
            HOST.attached.target,
            (lambda annotated: told.append(type(annotated.event).__name__),),
            TraceOptions(min_zombie_ns=SECOND_NS, until_ended=False),
            interrupts,
            on_passed=lambda lives: None,
        )
        trace.attach()
        monkeypatch.setattr(trace._feeding, "feed_held", lambda: told.append("held"))
        trace.tell(ContainerEvent(BEGIN_NS, MadeHost(short_lived=1, containers=1).container(0)))
    assert told[-2:] == ["held", "ContainerEvent"]


def test_a_large_batch_of_which_little_is_passed_over_loses_nothing_of_the_next(
    source: SmallRing,
) -> None:
    events = 0

    def sink(annotated: object) -> None:
        nonlocal events
        events += 1
        if source.on_event(events):
            trace.end("all given")

    with Interrupts() as interrupts:
        trace = Trace(
            source,
            HOST.attached.target,
            (sink,),
            TraceOptions(min_zombie_ns=SECOND_NS, until_ended=False),
            interrupts,
            on_passed=lambda lives: None,
        )
        trace.attach()
        report = trace.run()
    assert source.lost == 0
    killed = [process for process in report.processes if process.term_signal is not None]
    assert len(killed) == HOST.killed
