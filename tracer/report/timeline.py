"""The story in order of time, short enough to be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tracer.model.report import Report, TimelineEntry
from tracer.report.page import Page, Span, Style, column
from tracer.wording.times import format_clock, format_date, format_relative, format_zone

MAX_LINES = 40
_LEAD_WIDTH = 30
_SAME_MOMENT_NS = 1_000_000
_STYLE_OF_WEIGHT = {0: Style.DIM, 1: Style.PLAIN, 2: Style.STRONG}


@dataclass(frozen=True, slots=True)
class TimelineLine:
    """One line: an entry, and how many equal ones in a row it stands for.

    ``last_boot_ns`` is when the last of them was; ``left_out`` counts the
    entries before it that were dropped for space.
    """

    entry: TimelineEntry
    count: int
    last_boot_ns: int
    left_out: int


def condense(
    entries: Sequence[TimelineEntry], limit: int = MAX_LINES, *, is_short: bool = False
) -> list[TimelineLine]:
    """Fold runs of equal entries, then drop the lightest where there are too many.

    Turning points (weight 2) are never dropped, unless it is to be short: then the first
    and the last of them are kept.
    """
    runs: list[list[TimelineEntry]] = []
    for entry in entries:
        if runs and runs[-1][0].text == entry.text:
            runs[-1].append(entry)
        else:
            runs.append([entry])
    lightest_kept = 0
    while lightest_kept < 2 and sum(run[0].weight >= lightest_kept for run in runs) > limit:
        lightest_kept += 1
    kept = [number for number, run in enumerate(runs) if run[0].weight >= lightest_kept]
    if is_short and len(kept) > limit:
        kept = [*kept[: limit - limit // 2], *kept[len(kept) - limit // 2 :]]
    stay = set(kept)
    lines: list[TimelineLine] = []
    left_out = 0
    for number, run in enumerate(runs):
        if number not in stay:
            left_out += len(run)
            continue
        lines.append(TimelineLine(run[0], len(run), run[-1].boot_ns, left_out))
        left_out = 0
    if left_out:
        lines.append(TimelineLine(entries[-1], 0, entries[-1].boot_ns, left_out))
    return lines


def add_timeline(page: Page, report: Report, *, utc: bool, most_lines: int | None = None) -> None:
    """Write the section; nothing where nothing happened."""
    if not report.timeline:
        return
    zero_ns = report.stops[0].begin_boot_ns if report.stops else report.begin_boot_ns
    zero_utc_ns = zero_ns + report.utc_offset_ns
    since = "the start of the stop" if report.stops else "the start of the trace"
    clock = format_clock(zero_utc_ns, utc=utc)
    page.heading("Timeline", f"+0.000 s is {since}, {clock} {format_zone(zero_utc_ns, utc=utc)}")
    limit, is_short = MAX_LINES, most_lines is not None
    lines = condense(report.timeline, limit, is_short=is_short)
    while most_lines is not None and limit > 2 and _rows(page, lines) > most_lines:
        limit -= 2
        lines = condense(report.timeline, limit, is_short=is_short)
    offsets = [format_relative(line.entry.boot_ns - zero_ns) for line in lines]
    width = max(len(offset) for offset in offsets)
    day = format_date(report.begin_boot_ns + report.utc_offset_ns, utc=utc)
    for line, offset in zip(lines, offsets, strict=True):
        if line.left_out:
            page.text(f"... {line.left_out} events left out", indent=width + 4, style=Style.DIM)
        if not line.count:
            continue
        utc_ns = line.entry.boot_ns + report.utc_offset_ns
        today = format_date(utc_ns, utc=utc)
        if today != day:
            page.text(today, indent=width + 4, style=Style.DIM)
            day = today
        lead = (
            Span("  "),
            column(offset, width, right=True),
            Span("  "),
            Span(format_clock(utc_ns, utc=utc), Style.DIM),
            Span("  "),
        )
        style = _STYLE_OF_WEIGHT.get(line.entry.weight, Style.PLAIN)
        page.entry(lead, f"{line.entry.text}{_times(line, zero_ns)}", style=style)


def _rows(page: Page, lines: Sequence[TimelineLine]) -> int:
    """How many rows of the page some lines take, more or less."""
    room = max(page.width - _LEAD_WIDTH, 16)
    return sum(1 + len(line.entry.text) // room + bool(line.left_out) for line in lines)


def _times(line: TimelineLine, zero_ns: int) -> str:
    if line.count == 1:
        return ""
    if line.last_boot_ns - line.entry.boot_ns < _SAME_MOMENT_NS:
        return f" (x {line.count})"
    return f" (x {line.count}, the last at {format_relative(line.last_boot_ns - zero_ns)})"
