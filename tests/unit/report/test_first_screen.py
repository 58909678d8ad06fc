"""The first screen of a report answers who, why and what to do; --brief prints it alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support import report_stories as stories
from tracer.cli.main import cli
from tracer.report.escape import safe_text
from tracer.report.findings import sort_findings
from tracer.report.first_screen import SCREEN_LINES
from tracer.report.text import brief_page, render_report, report_page

CAPTURE = Path(__file__).parents[3] / "docs" / "session" / "web.capture"
SAMPLES = stories.SAMPLES


def report_of(capture: Path, *arguments: str) -> list[str]:
    done = CliRunner().invoke(
        cli, ["report", str(capture), "--utc", *arguments], env={"COLUMNS": "80"}
    )
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def test_the_first_screen_says_who_why_and_what_to_do() -> None:
    screen = " ".join(" ".join(report_of(CAPTURE)[:SCREEN_LINES]).split())

    assert "web was stopped in 3.1 s: start (PID 1) has no SIGTERM handler" in screen
    assert "SIGTERM from runc[3779]" in screen
    assert "ZT101 PID 1 of web has no SIGTERM handler" in screen
    assert "To do: Run an init as PID 1" in screen
    assert "install a SIGTERM handler in start." in screen


def test_brief_ends_with_the_first_screen() -> None:
    brief, whole = report_of(CAPTURE, "--brief"), report_of(CAPTURE)

    assert len(brief) <= SCREEN_LINES < len(whole)
    # Its last line says where to read on; the whole report has that at its end.
    *screen, blank, last = brief
    assert whole[: len(screen)] == screen
    assert (blank, last) == ("", "What a code means: zomtrace explain ZT101")
    assert "TIMELINE" not in "\n".join(brief)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_first_screen_has_its_headline_and_its_worst_finding(name: str) -> None:
    report = SAMPLES[name]()
    lines = brief_page(report, utc=True).plain().splitlines()
    screen = " ".join(" ".join(lines).split())

    assert len(lines) <= SCREEN_LINES
    for worst in sort_findings(report.findings)[:1]:
        assert worst.code in screen
        assert f"To do: {safe_text(worst.advice)}" in screen


def test_a_stop_too_long_for_the_screen_follows_below_it() -> None:
    report = stories.dropped_sigterm()
    long_chain = tuple(f"ancestor-{n}" for n in range(60))
    stop = replace(report.stops[0], stop_sender_chain=long_chain)
    page = report_page(replace(report, stops=(stop,)), utc=True).plain()

    first, _, rest = page.partition("\nSTOPS\n")
    assert "ancestor-59" not in first
    assert "ancestor-59" in rest
    assert "ZT103" in first


def test_advice_is_given_once() -> None:
    report = stories.fwd_sig()
    text = " ".join(render_report(report).split())

    for finding in report.findings:
        assert text.count(" ".join(finding.advice.split())) == 1


def test_the_readme_shows_what_brief_prints() -> None:
    readme = (CAPTURE.parent.parent.parent / "README.md").read_text(encoding="utf-8")
    shown = readme.split("--utc --brief\n")[1].split("```")[0]

    assert shown.splitlines() == report_of(CAPTURE, "--brief")
