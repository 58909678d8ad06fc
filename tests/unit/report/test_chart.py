"""The charts and pictures a notebook shows."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.support.annotated import a_death, a_fork, a_reap
from tests.support.report_stories import SAMPLES
from tests.support.reports import BEGIN_NS, SECOND, a_process, a_report, killed
from tracer.report.chart import render_counts, render_deaths
from tracer.tables.plots import Plot, plot_lanes

_SVG = "{http://www.w3.org/2000/svg}"


def _texts(svg: str) -> list[str]:
    return [each.text or "" for each in ET.fromstring(svg).iter(f"{_SVG}text")]


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_every_story_makes_well_formed_charts(name: str) -> None:
    report = SAMPLES[name]()
    for svg in (render_counts(report, []), render_deaths(report)):
        assert ET.fromstring(svg).tag == f"{_SVG}svg"


def test_a_process_that_dies_within_a_column_counts_once() -> None:
    events = [
        a_fork(at_ns=BEGIN_NS),
        a_death(at_ns=BEGIN_NS + 2 * SECOND),
        a_reap(at_ns=BEGIN_NS + 4 * SECOND, zombie_ns=2 * SECOND),
    ]
    assert _texts(render_counts(a_report(), events))[0] == "1"


def test_deaths_are_counted_by_end_and_cause() -> None:
    report = a_report(processes=(killed(2), killed(3), a_process(4)))
    texts = _texts(render_deaths(report))
    assert texts == [
        "SIGKILL: namespace teardown after PID 1 exited", "2", "exit 0", "1",
    ]  # fmt: skip


def test_a_page_in_a_notebook_is_kept_apart_from_it(tmp_path: Path) -> None:
    plot = plot_lanes(a_report(), [], height=400)
    shown = plot._repr_html_()  # as notebooks call it
    assert shown.startswith('<iframe sandbox="allow-scripts" srcdoc="&lt;!DOCTYPE html&gt;')
    assert shown.count("<") == 2
    plot.save(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == plot.content
    assert Plot("<svg/>", ".svg")._repr_html_() == "<svg/>"
