"""The report for people: 80 columns, the answer first."""

from __future__ import annotations

from typing import TextIO

from tracer.model.report import Report
from tracer.report.fates import add_fates
from tracer.report.findings import add_findings, add_gaps
from tracer.report.page import DEFAULT_WIDTH, Page, Style
from tracer.report.stop_block import add_stops
from tracer.report.terminal import Terminal, write_page
from tracer.report.timeline import add_timeline
from tracer.report.times import format_clock, format_date, format_duration, format_zone
from tracer.report.zombie_groups import add_zombies


def report_page(report: Report, *, width: int = DEFAULT_WIDTH, utc: bool = False) -> Page:
    """Lay the report out: what happened, then when, who, zombies, findings, gaps.

    Args:
        report: What the trace concluded.
        width: Columns to stay within.
        utc: Tell times in UTC instead of the machine's own zone.
    """
    page = Page(width)
    _add_header(page, report, utc=utc)
    page.blank()
    page.text(report.headline, style=Style.STRONG)
    add_stops(page, report)
    add_timeline(page, report, utc=utc)
    add_fates(page, report)
    add_zombies(page, report)
    add_findings(page, report)
    add_gaps(page, report)
    return page


def render_report(report: Report, *, width: int = DEFAULT_WIDTH, utc: bool = True) -> str:
    """Write the report as plain text."""
    return report_page(report, width=width, utc=utc).plain()


def write_report(
    report: Report, stream: TextIO, *, utc: bool = False, no_color: bool = False
) -> None:
    """Write the report to a stream: with colours to a terminal, else plain.

    Raises:
        BrokenPipeError: The reader went away.
    """
    terminal = Terminal.of(stream, no_color=no_color)
    page = report_page(report, width=terminal.width, utc=utc)
    write_page(page, stream, color=terminal.color)


def _add_header(page: Page, report: Report, *, utc: bool) -> None:
    begin_ns = report.begin_boot_ns + report.utc_offset_ns
    end_ns = report.end_boot_ns + report.utc_offset_ns
    day = format_date(begin_ns, utc=utc)
    last_day = format_date(end_ns, utc=utc)
    until = format_clock(end_ns, utc=utc)
    if last_day != day:
        until = f"{last_day} {until}"
    page.text(f"zomtrace: {report.target}", style=Style.HEADING)
    page.text(
        f"{day} {format_clock(begin_ns, utc=utc)} to {until} {format_zone(begin_ns, utc=utc)}, "
        f"{format_duration(end_ns - begin_ns)}; kernel {report.kernel}; "
        f"{'nothing was lost' if report.complete else 'NOT COMPLETE, see the end'}",
        style=Style.DIM,
    )
