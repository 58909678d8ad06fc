"""The chain of causes of one death, as text and as JSON."""

from __future__ import annotations

from tracer.model.why import Why
from tracer.report.jsonobject import JsonObject, clean_object
from tracer.report.page import DEFAULT_WIDTH, Page, Span, Style
from tracer.wording.times import format_clock, format_date, format_rfc3339, format_zone

_INDENT = "  "


def why_page(
    why: Why, utc_offset_ns: int, *, utc: bool = False, width: int = DEFAULT_WIDTH
) -> Page:
    """Lay the story out: the answer, its steps with times, what to do.

    Args:
        why: The story.
        utc_offset_ns: CLOCK_REALTIME minus CLOCK_BOOTTIME.
        utc: Times in UTC, not local time.
        width: Columns to stay within.
    """
    page = Page(width)
    page.text(why.question, style=Style.DIM)
    page.text(why.answer, style=Style.STRONG)
    if not why.complete:
        page.text("Some required events were not captured.", style=Style.WARNING)
    page.blank()
    instants = [step.boot_ns for step in why.steps if step.boot_ns is not None]
    if instants:
        begin_ns = instants[0] + utc_offset_ns
        zone = format_zone(begin_ns, utc=utc)
        page.heading("Sequence of events", f"{format_date(begin_ns, utc=utc)}, {zone}")
    for step in why.steps:
        clock = " " * 12
        if step.boot_ns is not None:
            clock = format_clock(step.boot_ns + utc_offset_ns, utc=utc)
        page.entry((Span(_INDENT), Span(clock, Style.DIM), Span("  ")), step.text)
    if why.findings:
        page.heading("How to fix it")
        for finding in why.findings:
            page.entry((Span(f"{_INDENT}{finding.code}  ", Style.NAME),), finding.advice)
    return page


def why_to_json(why: Why, utc_offset_ns: int) -> JsonObject:
    """The story as one object."""
    return clean_object(
        {
            "kind": "why",
            "question": why.question,
            "answer": why.answer,
            "complete": why.complete,
            "steps": [
                {
                    "time": None
                    if step.boot_ns is None
                    else format_rfc3339(step.boot_ns + utc_offset_ns),
                    "boot_ns": step.boot_ns,
                    "text": step.text,
                }
                for step in why.steps
            ],
            "findings": [finding.code for finding in why.findings],
        }
    )
