"""What was read while the trace was behind has its place among the records all the same."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.clock import SetClock
from tests.support.made_host import BEGIN_NS, GRACE_NS, SECOND_NS, MadeHost
from tracer.live.callbacks import TraceCallbacks
from tracer.live.interrupts import Interrupts
from tracer.live.observers.observer import Observer
from tracer.live.recorder import Recorder, RecordOptions
from tracer.live.trace import Trace
from tracer.live.trace_options import TraceOptions
from tracer.model.annotated import Annotated
from tracer.model.events import HookState, ObservationEvent, SignalEvent
from tracer.model.report import Report
from tracer.model.signals import SIGKILL, SIGTERM
from tracer.model.verdicts import StopOutcome
from tracer.replay.replay import Replay
from tracer.report.jsonreport import render_report_file
from tracer.wire.layout import CONSTANTS

Records = npt.NDArray[np.void]
HOST = MadeHost(short_lived=1, killed=0, leaked=0, containers=1)
RECORDS: Records = np.concatenate(list(HOST.records()))
RECORDS = RECORDS[np.argsort(RECORDS["boot_ns"], kind="stable")]
IS_SIGNAL = RECORDS["kind"] == CONSTANTS["ZT_KIND_SIGNAL"]
ASKED_NS = int(RECORDS["boot_ns"][IS_SIGNAL & (RECORDS["sig"] == SIGTERM)][0])
KILLED_NS = ASKED_NS + GRACE_NS


@pytest.fixture
def clock() -> SetClock:
    return SetClock(BEGIN_NS)


class StoppedTracer:
    """A ring that is emptied at the times given, and at no other."""

    name = "bpf"

    def __init__(self, clock: SetClock, drains_ns: Iterable[int]) -> None:
        self._clock = clock
        self._drains_ns = list(drains_ns)
        self._taken = 0
        self._fd = os.eventfd(1)

    def set_filter(self, kernel_filter: object) -> None: ...

    def fold(self, min_zombie_ns: int | None) -> None: ...

    def attach(self) -> tuple[HookState, ...]:
        return HOST.attached.hooks

    def seed(self) -> Records:
        births = RECORDS[RECORDS["kind"] == CONSTANTS["ZT_KIND_FORK"]]
        inits: Records = births[births["host_pid"] == HOST.container(0).init_host_pid].copy()
        inits["kind"], inits["live_threads"] = CONSTANTS["ZT_KIND_PROCESS"], 1
        inits["boot_ns"] = BEGIN_NS
        return inits

    def go_on(self) -> bool:
        """Let the tracer run on to its next drain; whether there is one."""
        if self._drains_ns:
            self._clock.now_ns = self._drains_ns.pop(0)
            return True
        return False

    def read(self, timeout_s: float | None) -> Records:
        until = int(np.searchsorted(RECORDS["boot_ns"], self._clock.now_ns, "right"))
        taken: Records = RECORDS[self._taken : until].copy()
        self._taken = max(self._taken, until)
        return taken

    def finish(self) -> Records:
        return self.read(0.0)

    def take_losses(self) -> Mapping[str, int]:
        return {}

    capacity = 1
    filled = 0.0
    folded_alive = 0

    def fileno(self) -> int:
        return self._fd

    def urgent_fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        os.close(self._fd)


class Reader(Observer):
    """Reads something as soon as records are drained, as the observers of a trace do."""

    def peek(self, records: Records, /) -> Iterator[ObservationEvent]:
        yield ObservationEvent(self._clock(), "cgroup", None, {"records": len(records)})

    def finish(self) -> Iterator[ObservationEvent]:
        yield ObservationEvent(self._clock(), "proc", None, {"reading": "last"})


class Told:
    """What a trace told, in order."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.notices: list[str] = []

    def __call__(self, annotated: Annotated) -> None:
        self.events.append(annotated.event)

    @property
    def behind(self) -> list[Mapping[str, Any]]:
        return [
            event.values for event in self.events
            if isinstance(event, ObservationEvent) and event.source == "tracer"
        ]  # fmt: skip


def trace(
    clock: SetClock, told: Told, drains_ns: Iterable[int], recorder: Recorder | None = None
) -> Report:
    """Trace the host with a tracer that empties the ring at these times alone."""
    source = StoppedTracer(clock, drains_ns)
    with Interrupts() as interrupts:
        one = Trace(
            source,
            HOST.attached.target,
            TraceOptions(min_zombie_ns=SECOND_NS, until_ended=False),
            interrupts,
            TraceCallbacks(sinks=(told,), on_notice=told.notices.append),
            clock=clock,
            recorder=recorder,
            observers=[Reader(clock.boot_now_ns)],
        )
        one.attach()

        def go_on() -> None:
            if source.go_on():
                one.schedule.after(0.01, go_on)
            else:
                one.end("all given")

        one.schedule.after(0.01, go_on)
        report = one.run()
    source.close()
    return report


STOPPED_NS = ASKED_NS + SECOND_NS
WENT_ON_NS = ASKED_NS + 90 * SECOND_NS
STOPPED_FOR_LONG = (*range(BEGIN_NS, STOPPED_NS, SECOND_NS // 2), STOPPED_NS, WENT_ON_NS)


def test_a_stop_is_not_survived_because_a_reading_overtook_its_kill(clock: SetClock) -> None:
    report = trace(clock, Told(), STOPPED_FOR_LONG)
    (stop,) = report.stops
    assert (stop.outcome, stop.escalated, stop.grace_ns) == (StopOutcome.STOPPED, True, GRACE_NS)


def test_a_reading_comes_behind_the_records_of_before_it(clock: SetClock) -> None:
    told = Told()
    trace(clock, told, STOPPED_FOR_LONG)
    kills = [
        number for number, event in enumerate(told.events)
        if isinstance(event, SignalEvent) and event.signo == SIGKILL
    ]  # fmt: skip
    late = [
        number for number, event in enumerate(told.events)
        if isinstance(event, ObservationEvent) and event.boot_ns > KILLED_NS
        and event.source != "tracer"
    ]  # fmt: skip
    assert kills
    assert late
    assert max(kills) < min(late)
    placed = [
        event.boot_ns for event in told.events
        if not isinstance(event, ObservationEvent) or event.source != "tracer"
    ]  # fmt: skip
    # The seed is of the attach, and the first line is told after it was read.
    assert placed[2:] == sorted(placed[2:])


def test_the_last_readings_are_in_the_report_of_the_trace(clock: SetClock) -> None:
    told = Told()
    trace(clock, told, STOPPED_FOR_LONG)
    assert any(
        isinstance(event, ObservationEvent) and event.values.get("reading") == "last"
        for event in told.events
    )


def test_a_capture_has_readings_where_the_trace_had_them(clock: SetClock, tmp_path: Path) -> None:
    path = tmp_path / "stopped.arrows"
    recorder = Recorder(RecordOptions(str(path)), SECOND_NS, lambda error: None)
    told = Told()
    report = trace(clock, told, STOPPED_FOR_LONG, recorder)
    recorder.finish()
    replay = Replay(path)
    events = [annotated.event for annotated in replay.annotated()]
    assert events == told.events
    assert render_report_file(replay.conclude()) == render_report_file(report)


def test_a_tracer_that_was_stopped_says_how_far_it_was_behind(clock: SetClock) -> None:
    told = Told()
    report = trace(clock, told, STOPPED_FOR_LONG)
    (behind,) = told.behind
    oldest_ns = int(RECORDS["boot_ns"][RECORDS["boot_ns"] > STOPPED_NS][0])
    assert behind["behind_ns"] == report.behind_ns == WENT_ON_NS - oldest_ns
    assert behind["since_boot_ns"] == oldest_ns
    assert [notice.split(":")[0] for notice in told.notices] == [
        f"{report.behind_ns / 1e9:.1f} s behind"
    ]


def test_a_tracer_that_kept_up_says_nothing(clock: SetClock) -> None:
    told = Told()
    until_ns = int(RECORDS["boot_ns"][-1])
    report = trace(clock, told, range(BEGIN_NS, until_ns + 2 * SECOND_NS, SECOND_NS))
    assert (told.behind, told.notices, report.behind_ns) == ([], [], 0)


def test_a_tracer_that_caught_up_says_so(clock: SetClock) -> None:
    told = Told()
    until_ns = int(RECORDS["boot_ns"][-1])
    first = ASKED_NS + 9 * SECOND_NS
    report = trace(clock, told, [first, *range(first, until_ns + 2 * SECOND_NS, SECOND_NS)])
    assert [one["until_boot_ns"] is None for one in told.behind] == [True, False]
    assert "caught up" in told.notices[-1]
    assert report.behind_ns == told.behind[0]["behind_ns"]
