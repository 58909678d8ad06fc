"""The report for people: goldens of whole stories, and what each must hold to."""

from __future__ import annotations

import io
import os
import pty
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit import report_samples as samples
from tests.unit.report_samples import BEGIN_NS, INIT_PID, MS, SAMPLES, SECOND
from tracer.model.events import Precision, SigchldAction
from tracer.model.report import ProcessReport, TimelineEntry
from tracer.model.signals import SignalResult
from tracer.model.verdicts import (
    Cause,
    End,
    ReapKind,
    Severity,
    StopOutcome,
    StopSignalDisposition,
)
from tracer.model.zombie_scan import ZombieBlame
from tracer.report import wording
from tracer.report.escape import cell_width
from tracer.report.fates import group_fates
from tracer.report.page import Page, Span, wrap
from tracer.report.pidlist import format_pids
from tracer.report.terminal import Terminal, write_page
from tracer.report.text import render_report, report_page, write_report
from tracer.report.timeline import MAX_LINES, condense
from tracer.report.zombie_groups import format_age

_SGR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize("name", SAMPLES)
def test_golden(name: str, check_golden: Callable[[str, str], None]) -> None:
    check_golden(f"report-{name}.txt", render_report(SAMPLES[name](), width=80, utc=True))


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("name", SAMPLES)
def test_no_line_is_wider_than_the_page(name: str, width: int) -> None:
    lines = render_report(SAMPLES[name](), width=width).splitlines()

    assert [line for line in lines if cell_width(line) > width] == []


@pytest.mark.parametrize("name", SAMPLES)
def test_every_line_is_printable_and_none_ends_in_blanks(name: str) -> None:
    for line in render_report(SAMPLES[name]()).splitlines():
        assert line.isprintable()
        assert line == line.rstrip()


def test_the_answer_comes_before_everything_but_the_title() -> None:
    report = samples.fwd_sig()
    text = render_report(report)

    order = [
        text.index(part)
        for part in (
            report.headline[:40],
            "stop signal ",
            "TIMELINE",
            "WHO DIED",
            "ZOMBIES",
            "FINDINGS",
            "LESS EXACT",
        )
    ]
    assert order == sorted(order)


# Who died, and of what.


def test_equal_fates_are_one_row() -> None:
    fates = group_fates(samples.zombie_leak().processes)

    assert [len(fate.members) for fate in fates] == [1, 997]
    assert "  997 x worker " in render_report(samples.zombie_leak())


def test_the_same_name_with_another_cause_is_another_row() -> None:
    processes = (
        samples.killed(5000),
        samples.killed(5001, cause=Cause.OOM),
        samples.killed(5002),
    )

    assert sorted(len(fate.members) for fate in group_fates(processes)) == [1, 2]


def test_init_comes_first_then_the_killed_then_the_rest() -> None:
    fates = group_fates(
        (
            samples.a_process(5000, "running", end=End.RUNNING, exit_code=None),
            samples.a_process(5001, "fine"),
            samples.a_process(5002, "failed", exit_code=1),
            samples.killed(5003, "killed"),
            samples.an_init(),
        )
    )

    assert [fate.one.comm for fate in fates] == ["fwd", "killed", "failed", "fine", "running"]


def test_an_end_that_was_not_seen_is_not_guessed() -> None:
    lost = samples.a_process(
        5000, "maybe", end=None, exit_code=None, end_boot_ns=None, reap_kind=None,
        reaper_host_pid=None, reaper_comm=None, zombie_ns=None, complete=False,
    )  # fmt: skip
    gone = samples.a_process(5001, "maybe", end=None, exit_code=None, complete=False)
    text = " ".join(render_report(samples.a_report(processes=(lost, gone))).split())
    assert "1 x maybe not known Whether it ended is not known" in text
    assert "1 x maybe not known It ended; how is not known" in text


def test_a_sender_that_differs_in_pid_alone_is_named_without_it() -> None:
    def shot(pid: int, sender_pid: int) -> ProcessReport:
        return samples.killed(pid, cause=Cause.KILL, sender_comm="kill", sender_host_pid=sender_pid)

    both = render_report(samples.a_report(processes=(shot(5000, 60), shot(5001, 61))))
    one = render_report(samples.a_report(processes=(shot(5000, 60), shot(5001, 60))))

    assert "sent by kill\n" in both
    assert "sent by kill[60]\n" in one


@pytest.mark.parametrize(
    ("exit_code", "expected"),
    [
        (137, "137 = 128 + 9 is how a"),
        (143, "died of SIGTERM"),
        (1, "reporting a failure"),
        (255, "reporting a failure"),
        (128, "reporting a failure"),
    ],
)
def test_an_exit_code_of_128_and_a_signal_is_no_death_by_signal(
    exit_code: int, expected: str
) -> None:
    report = samples.a_report(processes=(samples.a_process(5000, "sh", exit_code=exit_code),))

    text = " ".join(render_report(report).split())
    assert f"exit {exit_code} It ended by itself" in text
    assert expected in text


def test_many_names_that_ended_well_are_folded_and_no_death_is() -> None:
    report = samples.a_report(
        processes=(
            *(samples.a_process(5000 + i, f"job{i}") for i in range(53)),
            *(samples.killed(6000 + i, f"dead{i}") for i in range(31)),
        )
    )
    text = render_report(report)

    assert text.count(" x job") == 8
    assert "... and 45 more that ended with code 0 or still run" in text
    assert text.count(" x dead") == 31


def test_a_shared_namespace_has_an_init_but_no_pid_1() -> None:
    report = replace(
        samples.dropped_sigterm(), containers=(replace(samples.WEB, has_own_pidns=False),)
    )
    text = render_report(report)

    assert "as init has no handler" in " ".join(text.split())
    assert "(init)" in text


# Stops.


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
        ({"stop_signal_disposition": StopSignalDisposition.BLOCKED}, "(sigwait)"),
        ({"stop_signal_result": SignalResult.ALREADY_PENDING}, "already waiting"),
        ({"stop_signal": None, "trigger": "init_exit"}, "PID 1, which ended by itself"),
        ({"stop_signal": None, "trigger": "oom"}, "out-of-memory killer, which chose PID 1"),
        ({"init_exit_code": None, "outcome": StopOutcome.SURVIVED}, "survived the stop"),
        ({"init_exit_code": None, "outcome": None}, "had not ended when the trace did"),
        ({"duration_ns": None}, "not over when the trace ended"),
        ({"members": 2, "signalled": 1, "survived": 1}, "1 died of another signal, 1 survived"),
        ({"complete": False}, "not all of this stop was seen"),
    ],
)
def test_a_stop_says_how_it_went(changes: dict[str, object], expected: str) -> None:
    text = render_report(samples.a_report(stops=(samples.a_stop(**changes),)))

    assert expected in " ".join(text.split())


def test_several_stops_are_told_apart_by_name() -> None:
    other = samples.a_stop(container_id="f" * 64, container_name=None)
    text = render_report(samples.a_report(stops=(samples.a_stop(), other)))

    assert "\nstop of web\n" in text
    assert "\nstop of ffffffffffff\n" in text


# Zombies.


def test_no_zombie_is_one_line() -> None:
    text = render_report(samples.nothing_happened())

    assert "ZOMBIES\n  None: no process stayed dead and uncollected for long.\n" in text


@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        (Precision.EXACT, "1.2 s .. 9.8 s"),
        (Precision.UPPER_BOUND, "<= 1.2 s .. 9.8 s"),
        (Precision.LOWER_BOUND, ">= 1.2 s .. 9.8 s"),
    ],
)
def test_a_duration_says_how_good_it_is(precision: Precision, expected: str) -> None:
    zombies = [
        samples.a_zombie(5000 + i, zombie_ns=ns, precision=precision)
        for i, ns in enumerate((9_800 * MS, 1_200 * MS, 3_000 * MS))
    ]

    assert format_age(zombies) == expected


def test_an_age_that_is_not_known_is_said_to_be() -> None:
    assert format_age([samples.a_zombie(5000, zombie_ns=None)]) == "how long: not known"


def test_zombies_are_grouped_by_who_had_to_collect_them() -> None:
    text = render_report(samples.zombie_leak())

    assert "1000 in all, 999 still there at the end" in text
    assert "to be collected by zombie-proc[4711], PID 1\n" in text
    assert "997 x worker          >= 8.1 s .. 9.1 s    still there at the end\n" in text
    assert "supervisor[6001]\n" in text
    assert "outside the container" in text
    assert "no wait can collect it" in text


# Timeline.


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
    text = render_report(samples.zombie_leak())

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


# Findings.


def test_the_worst_finding_comes_first_and_uncertainty_is_said() -> None:
    report = samples.a_report(
        findings=(
            samples.a_finding("ZT204", "late"),
            replace(samples.a_finding("ZT204", "new"), code="ZT999", severity=Severity.INFO),
            samples.a_finding("ZT101", "dropped", complete=False),
        )
    )
    text = render_report(report)

    assert text.index("ZT101") < text.index("ZT204") < text.index("ZT999")
    assert text.count("Not certain") == 1


def test_a_complete_trace_with_the_best_hooks_ends_with_its_findings() -> None:
    text = render_report(samples.nothing_happened())

    assert "NOT SEEN" not in text
    assert "LESS EXACT" not in text
    assert "nothing was lost" in text


def test_losses_are_counted_in_the_open() -> None:
    text = render_report(samples.incomplete())

    assert "NOT COMPLETE" in " ".join(text.split())
    assert "12 exit, 3 signal:" in text
    assert "fork" not in text.split("NOT SEEN")[1].split("LESS EXACT")[0]


# Words.


@pytest.mark.parametrize(
    ("table", "names"),
    [
        (wording.CAUSE_SHORT, Cause),
        (wording.CAUSE_MEANING, Cause),
        (wording.REAP_MEANING, ReapKind),
        (wording.SIGCHLD_MEANING, SigchldAction),
        (wording.SEVERITY_STYLE, Severity),
        (wording.BLAME_MEANING, ZombieBlame),
        (wording.BLAME_ADVICE, ZombieBlame),
    ],
)
def test_every_verdict_has_words(table: dict[str, str], names: type) -> None:
    assert set(table) == set(names)  # type: ignore[call-overload]


@given(st.text(), st.integers(min_value=2, max_value=40))
def test_wrapped_text_fits_and_loses_nothing(text: str, width: int) -> None:
    lines = wrap(text, width)

    assert all(cell_width(line) <= width for line in lines)
    assert "".join(wrap(text, 10_000)).replace(" ", "") == "".join(lines).replace(" ", "")


def test_a_number_stays_with_its_unit() -> None:
    assert wrap("it took 10.0 s", 13) == ["it took", "10.0 s"]
    assert wrap("runc[7] <- systemd", 12) == ["runc[7]", "<- systemd"]


@pytest.mark.parametrize(
    ("pids", "expected"),
    [
        ([7], "pid 7"),
        ([7, 7], "pid 7"),
        ([3, 1, 2, 9], "pids 1-3, 9"),
        (range(1, 100, 2), "pids 1, 3, 5, 7 and 46 more"),
    ],
)
def test_pids_are_written_as_ranges(pids: list[int], expected: str) -> None:
    assert format_pids(pids) == expected


# Streams.


@pytest.fixture
def terminal_pair() -> Iterator[tuple[int, TextIO]]:
    """A pseudo-terminal: what its screen side reads, and a stream onto it."""
    screen, line = pty.openpty()
    with os.fdopen(line, "w", encoding="utf-8", newline="") as stream:
        yield screen, stream
    os.close(screen)


def test_a_pipe_gets_plain_text_of_80_columns() -> None:
    stream = io.StringIO()

    write_report(samples.hostile(), stream, utc=True)

    assert stream.getvalue() == render_report(samples.hostile(), width=80, utc=True)


def test_colours_are_laid_over_the_same_lines() -> None:
    stream = io.StringIO()
    page = report_page(samples.fwd_sig(), utc=True)

    write_page(page, stream, color=True)

    assert "\x1b[" in stream.getvalue()
    assert _SGR.sub("", stream.getvalue()) == page.plain()


def test_colour_brings_no_other_escape_sequence_than_colour() -> None:
    stream = io.StringIO()

    write_page(report_page(samples.hostile(), utc=True), stream, color=True)

    assert all(line.isprintable() for line in _SGR.sub("", stream.getvalue()).splitlines())


@pytest.mark.parametrize(
    ("environ", "no_color", "is_terminal", "color"),
    [
        ({"TERM": "xterm"}, False, True, True),
        ({"TERM": "xterm"}, True, True, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False, True, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, False, True, True),
        ({"TERM": "dumb"}, False, False, False),
        ({}, False, False, False),
    ],
)
def test_what_a_terminal_can_show(
    terminal_pair: tuple[int, TextIO],
    environ: dict[str, str],
    no_color: bool,
    is_terminal: bool,
    color: bool,
) -> None:
    seen = Terminal.of(terminal_pair[1], no_color=no_color, environ=environ)

    assert (seen.is_terminal, seen.color) == (is_terminal, color)


def test_a_pipe_is_no_terminal_whatever_the_environment_says() -> None:
    assert Terminal.of(io.StringIO(), environ={"TERM": "xterm"}) == Terminal(False, False, 80)


def test_a_closed_pipe_is_reported_to_the_caller() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w", encoding="utf-8")

    with pytest.raises(BrokenPipeError):
        write_report(samples.fwd_sig(), stream, utc=True)
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_a_stream_that_knows_no_utf_8_gets_escapes() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", newline="")
    page = Page()
    page.add(Span("日本"))

    write_page(page, stream, color=False)

    assert raw.getvalue() == b"\\u65e5\\u672c\n"


def test_the_init_of_another_container_is_named_with_it() -> None:
    other = replace(samples.WEB, id="f" * 64, name="db")
    report = samples.a_report(
        containers=(samples.WEB, other),
        processes=(samples.an_init(), samples.killed(INIT_PID + 1, container_id="f" * 64)),
        zombies=(samples.a_zombie(5000),),
    )
    text = render_report(report)

    assert "in web\n" in text
    assert "in db\n" in text
    assert "PID 1 of web\n" in text
