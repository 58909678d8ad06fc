"""What is wrong and what to do about it; and what the trace could not see."""

from __future__ import annotations

from collections.abc import Iterable

from tracer.model.report import Finding, Report
from tracer.model.verdicts import FINDING_KINDS, Severity
from tracer.report.page import Page, Span, Style, column
from tracer.report.wording import SEVERITY_STYLE

_INDENT = 11
_ROW_WIDTH = 18
_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def sort_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Put the worst first, then by code."""
    return sorted(findings, key=lambda finding: (_ORDER[finding.severity], finding.code))


def add_findings(page: Page, report: Report) -> None:
    """Write the section, the worst first; one line where there are none."""
    page.heading("Findings")
    if not report.findings:
        page.text("None: nothing known to be wrong was seen.", indent=2, style=Style.GOOD)
        return
    for number, finding in enumerate(sort_findings(report.findings)):
        if number:
            page.blank()
        _add_finding(page, finding)
    page.blank()
    code = sort_findings(report.findings)[0].code
    page.text(
        f"What a code means and how to fix it: zomtrace explain {code}", indent=2, style=Style.DIM
    )


def add_gaps(page: Page, report: Report) -> None:
    """Write what was not seen or less exactly; nothing where everything was."""
    lost = [(kind, count) for kind, count in sorted(report.lost.items()) if count]
    if lost or not report.complete:
        page.heading("Not seen")
    if lost:
        counts = ", ".join(f"{count} {kind}" for kind, count in lost)
        page.entry(
            _lead("lost", Style.WARNING),
            f"{counts}: events the kernel had no room to hand over. Counts above may be too low, "
            "and what looks alive may have ended.",
        )
    elif not report.complete:
        page.entry(
            _lead("incomplete", Style.WARNING),
            "something happened before the hooks were live or came in too late to be placed.",
        )
    rows = [
        (hook.name, hook.degrades or "nothing on this kernel tells of it")
        for hook in report.hooks
        if hook.source is None or hook.degrades
    ]
    if rows:
        page.heading("Less exact on this kernel", "zomtrace doctor says why")
    for name, text in rows:
        page.entry(_lead(name, Style.DIM), text, style=Style.DIM)


def _add_finding(page: Page, finding: Finding) -> None:
    style = SEVERITY_STYLE[finding.severity]
    kind = FINDING_KINDS.get(finding.code)
    page.add(
        Span("  "),
        column(finding.severity.value, _INDENT - 2, style),
        Span(finding.code, style),
        Span(f" {kind.name}" if kind else "", Style.DIM),
    )
    page.text(finding.title, indent=_INDENT, style=Style.STRONG)
    if finding.detail:
        page.text(finding.detail, indent=_INDENT)
    if finding.advice:
        page.entry((Span(" " * _INDENT), Span("To do: ", Style.GOOD)), finding.advice)
    if not finding.complete:
        page.text(
            "Not certain: part of what this rests on was not seen.",
            indent=_INDENT,
            style=Style.WARNING,
        )


def _lead(label: str, style: Style) -> tuple[Span, ...]:
    return (Span("  "), column(label, _ROW_WIDTH - 2, style))
