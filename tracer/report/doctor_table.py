"""The doctor's findings: what works here, with which hooks, and at what cost."""

from __future__ import annotations

from tracer.model.doctor import CheckState, DoctorCheck, DoctorReport, PlannedHook
from tracer.report.jsonobject import JsonObject, clean_object, hook_object
from tracer.report.page import DEFAULT_WIDTH, Page, Span, Style, column
from tracer.wording.verdicts import HOOK_MEANING

_STATE_WIDTH = 8
_NAME_WIDTH = 16
_ROW_WIDTH = 16
_STATE_STYLE = {
    CheckState.OK: Style.GOOD,
    CheckState.WARN: Style.WARNING,
    CheckState.FAIL: Style.ERROR,
}


def doctor_page(report: DoctorReport, *, width: int = DEFAULT_WIDTH) -> Page:
    """Lay out the checks, the hook plan and the verdict."""
    page = Page(width)
    page.text(_verdict(report), style=Style.STRONG)
    page.text(f"kernel {report.kernel}, {report.machine}", style=Style.DIM)
    page.heading("Checks")
    for check in report.checks:
        _add_check(page, check)
    if report.hooks:
        page.heading("Hooks", "purpose, source and reduced precision of each")
        for hook in report.hooks:
            _add_hook(page, hook)
    return page


def doctor_to_json(report: DoctorReport) -> JsonObject:
    """Build the doctor's object."""
    return clean_object(
        {
            "schema": "zomtrace.doctor/1",
            "usable": report.is_usable,
            "kernel": report.kernel,
            "machine": report.machine,
            "checks": [
                {
                    "name": check.name,
                    "state": check.state,
                    "detail": check.detail,
                    "advice": check.advice,
                }
                for check in report.checks
            ],
            "hooks": [
                {
                    **hook_object(hook.state),
                    "rejected": [
                        {"source": each.source, "reason": each.reason} for each in hook.rejected
                    ],
                }
                for hook in report.hooks
            ],
        }
    )


def _verdict(report: DoctorReport) -> str:
    if not report.is_usable:
        failed = ", ".join(check.name for check in report.checks if check.state is CheckState.FAIL)
        return f"This host cannot be traced in its current state. Failed checks: {failed}."
    if any(hook.state.degrades for hook in report.hooks):
        return "This host can be traced; some times and details have reduced precision, see below."
    return "This host can be traced with full precision."


def _add_check(page: Page, check: DoctorCheck) -> None:
    lead = (
        Span("  "),
        column(check.state.value, _STATE_WIDTH - 2, _STATE_STYLE[check.state]),
        column(check.name, _NAME_WIDTH),
    )
    page.entry(lead, check.detail)
    if check.advice is not None:
        indent = Span(" " * (_STATE_WIDTH + _NAME_WIDTH))
        page.entry((indent, Span("To do: ", Style.GOOD)), check.advice)


def _add_hook(page: Page, hook: PlannedHook) -> None:
    state = hook.state
    served = state.source or "none"
    style = Style.GOOD if not state.degrades and state.source else Style.WARNING
    lead = (Span("  "), column(state.name, _ROW_WIDTH, Style.NAME))
    meaning = HOOK_MEANING.get(state.name)
    page.row(*lead, Span(served, style), Span(f"  ({meaning})" if meaning else "", Style.DIM))
    if state.degrades:
        page.entry((Span(" " * (_ROW_WIDTH + 2)), Span("cost: ", Style.DIM)), state.degrades)
    for each in hook.rejected:
        lead_in = (Span(" " * (_ROW_WIDTH + 2)), Span("not ", Style.DIM))
        page.entry(lead_in, f"{each.source}: {each.reason}", style=Style.DIM)
