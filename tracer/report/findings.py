"""What is wrong and how to fix it; and what the trace could not see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial

from tracer.model.events import BPF_SOURCE
from tracer.model.report import Finding, Report
from tracer.model.verdicts import FINDING_KINDS, Severity, unreportable
from tracer.report.page import SEVERITY_STYLE, Page, Span, Style, column
from tracer.wording.times import format_duration

_INDENT = 11
_ROW_WIDTH = 18
_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def sort_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Put the worst first, then by code."""
    return sorted(findings, key=lambda finding: (_ORDER[finding.severity], finding.code))


def add_in_short(page: Page, finding: Finding) -> None:
    """Write a finding's code, title and advice, without its details."""
    style = SEVERITY_STYLE[finding.severity]
    lead = (
        Span("  "),
        column(finding.severity.value, _INDENT - 2, style),
        Span(f"{finding.code} ", style),
    )
    is_sure = finding.complete or finding.title.startswith("uncertain")
    title = finding.title if is_sure else f"{finding.title} (low confidence)"
    page.entry(lead, title, style=Style.STRONG)
    if finding.advice:
        _add_advice(page, finding)


def add_findings(
    page: Page,
    report: Report,
    *,
    advised: Sequence[Finding] = (),
    most_lines: int | None = None,
) -> None:
    """Write the section, the worst first; nothing where there are none.

    Where room is short, there is one of each code before there is a second.

    Args:
        page: Where to.
        report: What the trace concluded.
        advised: Findings whose advice is on the page already.
        most_lines: How many lines there are; None = however many.
    """
    if not report.findings:
        return
    page.heading("Details of the findings")
    findings = sort_findings(report.findings)
    if most_lines is not None:
        findings = _one_of_each_first(findings)
    shown = page.add_within(
        (partial(_add_finding, finding=finding, is_first=finding is findings[0],
                 is_advised=finding in advised)
         for finding in findings),
        most_lines,
    )  # fmt: skip
    more = Counter(finding.code for finding in findings[shown:])
    for row in report.folded.findings:
        more[row.code] += row.count
    if more:
        page.blank()
    for code, count in sorted(more.items()):
        name = FINDING_KINDS[code].name if code in FINDING_KINDS else "findings"
        like = "more like it" if count == 1 else "more like these"
        page.text(f"... and {count} {like}: {code} {name}", indent=2, style=Style.DIM)
    page.blank()
    code = findings[0].code
    page.text(
        f"What a code means and how to fix it: zomtrace explain {code}", indent=2, style=Style.DIM
    )


def add_gaps(page: Page, report: Report) -> None:
    """Write what was not captured, or with less precision; nothing where all was."""
    lost = [(kind, count) for kind, count in sorted(report.lost.items()) if count]
    if lost or not report.complete:
        page.heading("Incomplete data")
    if lost:
        counts = ", ".join(f"{count} {kind}" for kind, count in lost)
        page.entry(
            _lead("lost", Style.WARNING),
            f"{counts}: the kernel had no buffer space for these events. Counts may be too low, "
            "and processes shown as running may have exited.",
        )
    elif not report.complete:
        page.entry(
            _lead("incomplete", Style.WARNING),
            "some events came before the hooks were attached, or arrived too late to be sorted.",
        )
    if report.behind_ns:
        if not lost and report.complete:
            page.heading("Incomplete data")
        page.entry(
            _lead("late", Style.WARNING),
            f"zomtrace was up to {format_duration(report.behind_ns)} behind (stopped, paused or"
            " short of CPU time): data from /proc and cgroups for that period was read late or not"
            " at all.",
        )
    rows = [
        (hook.name, hook.degrades or "not available on this kernel")
        for hook in report.hooks
        if hook.source is None or hook.degrades
    ]
    if rows:
        if report.source == BPF_SOURCE:
            page.heading("Reduced precision on this kernel", "for the reasons: zomtrace doctor")
        else:
            page.heading(f"Not seen, or seen with reduced precision, by --source {report.source}")
            codes = ", ".join(unreportable(_unseen(report)))
            page.entry(_lead("findings", Style.WARNING), f"it never finds {codes}")
    for name, text in rows:
        page.entry(_lead(name, Style.DIM), text, style=Style.DIM)


def _unseen(report: Report) -> frozenset[str]:
    return frozenset(hook.name for hook in report.hooks if hook.source is None)


def _one_of_each_first(findings: list[Finding]) -> list[Finding]:
    """The worst of each code first, in their order, then the next of each."""
    turns: Counter[str] = Counter()
    turned: list[tuple[int, Finding]] = []
    for finding in sorted(findings, key=lambda one: -one.processes):
        turned.append((turns[finding.code], finding))
        turns[finding.code] += 1
    return [
        finding
        for _, finding in sorted(
            turned, key=lambda pair: (pair[0], _ORDER[pair[1].severity], pair[1].code)
        )
    ]


def _add_finding(page: Page, finding: Finding, *, is_first: bool, is_advised: bool) -> None:
    if not is_first:
        page.add()
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
    if finding.advice and not is_advised:
        _add_advice(page, finding)
    if not finding.complete:
        page.text(
            "Low confidence: some required events were not captured.",
            indent=_INDENT,
            style=Style.WARNING,
        )


def _add_advice(page: Page, finding: Finding) -> None:
    page.entry((Span(" " * _INDENT), Span("To do: ", Style.GOOD)), finding.advice)


def _lead(label: str, style: Style) -> tuple[Span, ...]:
    return (Span("  "), column(label, _ROW_WIDTH - 2, style))
