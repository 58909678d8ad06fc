"""The report's stops and timeline: how a stop went, and which of its moments are shown."""

from __future__ import annotations

import pytest

from tests.support import report_stories as stories
from tests.support import reports as samples
from tests.support.reports import BEGIN_NS, MS, SECOND
from tracer.model.report import TimelineEntry
from tracer.model.signals import SignalResult
from tracer.model.verdicts import StopOutcome, StopSignalDisposition
from tracer.report.text import render_report
from tracer.report.timeline import MAX_LINES, condense


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {
                "stop_signal_result": SignalResult.IGNORED,
                "stop_signal_disposition": StopSignalDisposition.IGNORED,
            },
            "PID 1 ignores it",
        ),
        ({"stop_signal_disposition": StopSignalDisposition.BLOCKED}, "with sigwait"),
        ({"stop_signal_result": SignalResult.ALREADY_PENDING}, "already pending"),
        ({"stop_signal": None, "trigger": "init_exit"}, "the exit of PID 1"),
        ({"stop_signal": None, "trigger": "oom"}, "OOM killer, which chose PID 1"),
        ({"init_exit_code": None, "outcome": StopOutcome.SURVIVED}, "survived the stop"),
        ({"init_exit_code": None, "outcome": None}, "had not exited when the trace ended"),
        ({"duration_ns": None}, "not finished when the trace ended"),
        (
            {"members": 2, "signalled": 1, "survived": 1},
            "1 died of a signal other than SIGKILL, 1 survived",
        ),
        ({"complete": False}, "not everything that led to this was captured"),
    ],
)
def test_a_stop_says_how_it_went(changes: dict[str, object], expected: str) -> None:
    text = render_report(samples.a_report(stops=(samples.a_stop(**changes),)))

    assert expected in " ".join(text.split())


def test_several_stops_are_distinguished_by_name() -> None:
    other = samples.a_stop(container_id="f" * 64, container_name=None)
    text = render_report(samples.a_report(stops=(samples.a_stop(), other)))

    assert "\nstop of web\n" in text
    assert "\nstop of ffffffffffff\n" in text


def _entries(*weights: int) -> list[TimelineEntry]:
    return [
        TimelineEntry(BEGIN_NS + i * MS, f"{weight}: {i}", weight)
        for i, weight in enumerate(weights)
    ]


def test_turning_points_are_never_dropped() -> None:
    entries = _entries(*([0, 1, 2] * 50))
    lines = condense(entries)

    assert [line.entry for line in lines] == [e for e in entries if e.weight == 2]
    assert sum(line.left_out for line in lines) == 100


def test_what_is_left_out_at_the_end_is_counted_too() -> None:
    lines = condense(_entries(*([2] + [0] * (MAX_LINES + 1))))

    assert [(line.count, line.left_out) for line in lines] == [(1, 0), (0, MAX_LINES + 1)]


def test_equal_neighbours_are_counted_with_their_last_time() -> None:
    text = render_report(stories.zombie_leak())

    assert "worker ends with code 0 (x 997, the last at +1.996 s)" in text


def test_a_new_day_is_announced() -> None:
    midnight = 13 * 3600 * SECOND + 14 * 60 * SECOND
    report = samples.a_report(
        timeline=(TimelineEntry(BEGIN_NS + midnight, "late", 2),),
        end_boot_ns=BEGIN_NS + midnight,
    )
    text = render_report(report)

    assert "2026-11-23\n" in text
    assert "to 2026-11-23 00:00:48.000 UTC" in text
