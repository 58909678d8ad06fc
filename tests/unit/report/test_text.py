"""The report for people as a whole: goldens of whole stories, and what each must hold to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support import report_stories as stories
from tests.support import reports as samples
from tests.support.report_stories import SAMPLES
from tests.support.reports import INIT_PID
from tracer.model.verdicts import Severity
from tracer.report.escape import cell_width
from tracer.report.text import render_report


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
    report = stories.fwd_sig()
    text = render_report(report)

    order = [
        text.index(part)
        for part in (
            report.headline[:40],
            "stop signal ",
            "FINDINGS",
            "TIMELINE",
            "PROCESSES",
            "ZOMBIES",
            "DETAILS OF THE FINDINGS",
            "REDUCED PRECISION",
        )
    ]
    assert order == sorted(order)


def test_a_shared_namespace_has_an_init_but_no_pid_1() -> None:
    report = replace(
        stories.dropped_sigterm(), containers=(replace(samples.WEB, has_own_pidns=False),)
    )
    text = render_report(report)

    assert "because init has no handler" in " ".join(text.split())
    assert "(init)" in text


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
    assert text.count("Low confidence") == 1


def test_a_complete_trace_with_the_best_hooks_ends_with_its_findings() -> None:
    text = render_report(stories.nothing_happened())

    assert "INCOMPLETE DATA" not in text
    assert "REDUCED PRECISION" not in text
    assert "no events lost" in " ".join(text.split())


def test_losses_are_counted_in_the_open() -> None:
    text = render_report(stories.incomplete())

    assert "INCOMPLETE, see the end" in " ".join(text.split())
    assert "12 exit, 3 signal:" in text
    assert "fork" not in text.split("INCOMPLETE DATA")[1].split("REDUCED PRECISION")[0]


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
