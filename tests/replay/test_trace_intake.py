"""The ring is looked after while a live trace is at work on what came before."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.replay.made_host import SECOND_NS, MadeHost
from tracer.model.events import HookState
from tracer.model.target import KernelFilter
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

    @property
    def is_filling(self) -> bool:
        return len(self._ring) >= RING_RECORDS // 4

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
