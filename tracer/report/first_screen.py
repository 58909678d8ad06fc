"""The first screen of a report: who, why, and what to do, in 24 lines of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tracer.model.report import Finding, Report
from tracer.report.findings import add_in_short, sort_findings
from tracer.report.page import Page, Style
from tracer.report.stop_block import add_stops, add_worst_stop

SCREEN_LINES = 24
"""How many lines of a terminal of the default width it takes."""

_NO_FINDING = "None: no known problem was detected."


@dataclass(frozen=True, slots=True)
class FirstScreen:
    """What the first screen has said already.

    Args:
        has_all_stops: Every stop, with all its facts.
        advised: Findings whose advice is there.
    """

    has_all_stops: bool
    advised: tuple[Finding, ...]


def add_first_screen(page: Page, report: Report) -> FirstScreen:
    """Write headline, stop and the worst findings below the page's header.

    The worst finding is there in any case; the stop's facts give way to it.

    Args:
        page: Holds the header.
        report: What the trace concluded.
    """
    page.blank()
    page.text(report.headline, style=Style.STRONG)
    findings = sort_findings(report.findings)
    has_all_stops = _add_stops(page, report, _lines_for_findings(page.width, findings))
    return FirstScreen(has_all_stops, _add_findings(page, report, findings))


def _lines_for_findings(width: int, findings: Sequence[Finding]) -> int:
    apart = Page(width)
    if findings:
        add_in_short(apart, findings[0])
    # A blank line, the heading; and what counts the rest.
    return 2 + max(len(apart.lines), 1) + (len(findings) > 1)


def _add_stops(page: Page, report: Report, reserved: int) -> bool:
    room = SCREEN_LINES - len(page.lines) - reserved
    for add, is_all in ((add_stops, True), (add_worst_stop, False)):
        apart = Page(page.width)
        add(apart, report)
        if len(apart.lines) <= room:
            page.lines += apart.lines
            return is_all
    return False


def _add_findings(page: Page, report: Report, findings: Sequence[Finding]) -> tuple[Finding, ...]:
    page.heading("Findings")
    folded = sum(row.count for row in report.folded.findings)
    if not findings and not folded:
        page.text(_NO_FINDING, indent=2, style=Style.GOOD)
        return ()
    shown = 0
    for finding in findings:
        apart = Page(page.width)
        add_in_short(apart, finding)
        more = len(findings) - shown - 1 + folded > 0
        if shown and len(page.lines) + len(apart.lines) + more > SCREEN_LINES:
            break
        page.lines += apart.lines
        shown += 1
    rest = findings[shown:]
    if rest or folded:
        number = len(rest) + folded
        codes = list(dict.fromkeys(
            [finding.code for finding in rest] + [row.code for row in report.folded.findings]
        ))  # fmt: skip
        noun = "finding" if number == 1 else "findings"
        page.text(f"... and {number} more {noun}: {', '.join(codes)}", indent=2, style=Style.DIM)
    return tuple(findings[:shown])
