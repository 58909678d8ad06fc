"""Small charts as SVG: how many lived and were zombies, and who died of what.

Plain text, so that a notebook shows them without a plotting library and a
report can hold them. Colours fit a light and a dark page.
"""

from __future__ import annotations

import html
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise

from tracer.model.annotated import Annotated
from tracer.model.report import Report
from tracer.report.escape import safe_text
from tracer.report.fates import label_end
from tracer.report.picture.lives import Life
from tracer.report.picture.phases import PhaseKind, read_moments, read_phases
from tracer.report.picture.picture import make_picture
from tracer.wording.causes import CAUSES
from tracer.wording.times import format_clock, format_duration

_WIDTH = 860
_LEFT, _RIGHT, _TOP, _PLOT = 56, 16, 34, 180
_BAR = 26
_NAMES = 380
_ALIVE, _ZOMBIE, _KILL, _STOP, _DIM = "#5b8fc9", "#d99a1c", "#d0393e", "#8a55d7", "#7c8896"
_PHASES = {
    PhaseKind.GRACE: "#f3b33d",
    PhaseKind.KILL: "#d0393e",
    PhaseKind.TEARDOWN: "#d0393e",
    PhaseKind.RELEASE: "#7c8896",
}


def render_counts(report: Report, events: Iterable[Annotated]) -> str:
    """Draw how many processes lived and how many were zombies over the trace.

    A column of pixels shows all that lived in it, however shortly.

    Args:
        report: The conclusion of a trace.
        events: Every event of that trace; read once.

    Returns:
        An ``<svg>`` element.
    """
    lives = [life for life in make_picture(report, events).lives if not life.is_outside]
    columns = _WIDTH - _LEFT - _RIGHT
    begin_ns = report.begin_boot_ns
    span_ns = max(report.end_boot_ns - begin_ns, 1)
    edges = [begin_ns + span_ns * column // columns for column in range(columns + 1)]
    alive = _count([_alive(life, report) for life in lives], edges)
    # One that died within a column both lived and was a zombie in it: it counts once.
    there = _count([_there(life, report) for life in lives], edges)
    most = max(there, default=0) or 1
    bottom = _TOP + _PLOT

    def x(boot_ns: int) -> float:
        return _LEFT + (boot_ns - begin_ns) / span_ns * columns

    parts = []
    for stop in report.stops:
        for phase in read_phases(stop, report):
            wide = max(x(phase.end_ns) - x(phase.begin_ns), 1.0)
            parts.append(
                f'<rect x="{x(phase.begin_ns):.1f}" y="{_TOP}" width="{wide:.1f}" '
                f'height="{_PLOT}" fill="{_PHASES[phase.kind]}" opacity="0.18"/>'
            )
    parts.append(_area([0] * columns, alive, most, _ALIVE))
    parts.append(_area(alive, there, most, _ZOMBIE))
    free = 0.0
    for stop in report.stops:
        for moment in read_moments(stop):
            at = x(moment.boot_ns)
            color = _KILL if moment.is_kill else _STOP
            parts.append(f'<path d="M{at:.1f} {_TOP - 12}V{bottom}" stroke="{color}"/>')
            wide = 7.0 * len(moment.text)
            if at >= free and at + wide < _WIDTH:
                parts.append(_text(at + 3, _TOP - 4, moment.text, color))
                free = at + wide
    parts.append(_text(_LEFT - 6, _TOP + 8, str(most), _DIM, "end"))
    parts.append(_text(_LEFT - 6, bottom, "0", _DIM, "end"))
    clocks = [format_clock(ns + report.utc_offset_ns, utc=True) for ns in (edges[0], edges[-1])]
    parts.append(_text(_LEFT, bottom + 18, f"{clocks[0]} UTC", _DIM))
    parts.append(_text(_WIDTH - _RIGHT, bottom + 18, f"{clocks[1]} UTC", _DIM, "end"))
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(_text(middle, bottom + 18, format_duration(span_ns), _DIM, "middle"))
    parts.append(_text(_LEFT, 14, "alive", _ALIVE))
    parts.append(_text(_LEFT + 44, 14, "zombie", _ZOMBIE))
    return _svg(bottom + 28, parts, "Running processes and zombies over time")


def render_deaths(report: Report) -> str:
    """Draw how many processes ended how, and why: one bar each, the longest first.

    Args:
        report: The conclusion of a trace.

    Returns:
        An ``<svg>`` element.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for process in report.processes:
        why = CAUSES[process.cause].phrase if process.cause is not None else ""
        counts[label_end(process), why] += 1
    most = max(counts.values(), default=1)
    parts = []
    for number, ((end, why), count) in enumerate(counts.most_common()):
        y = 8 + number * _BAR
        wide = max((_WIDTH - _NAMES - 70) * count / most, 2.0)
        color = _KILL if end.startswith("SIG") else _ALIVE
        name = f"{end}: {why}" if why else end
        parts.append(_text(_NAMES - 8, y + 14, name, _DIM, "end"))
        parts.append(
            f'<rect x="{_NAMES}" y="{y}" width="{wide:.1f}" height="{_BAR - 6}" fill="{color}"/>'
        )
        parts.append(_text(_NAMES + wide + 6, y + 14, str(count), _DIM))
    return _svg(16 + len(counts) * _BAR, parts, "How processes ended, and why")


def _alive(life: Life, report: Report) -> tuple[int, int]:
    begin_ns = life.begin_ns if life.begin_ns is not None else report.begin_boot_ns
    if life.was_zombie:
        return begin_ns, begin_ns
    ends = [ns for ns in (life.exit_ns, life.zombie_from_ns, life.reap_ns) if ns is not None]
    return begin_ns, min(ends, default=report.end_boot_ns)


def _there(life: Life, report: Report) -> tuple[int, int]:
    begin_ns, dead_ns = _alive(life, report)
    if life.zombie_from_ns is None:
        return begin_ns, dead_ns
    return begin_ns, life.reap_ns if life.reap_ns is not None else report.end_boot_ns


def _count(stretches: Sequence[tuple[int, int]], edges: Sequence[int]) -> list[int]:
    # Empty ones count nowhere.
    begins = sorted(begin for begin, end in stretches if end > begin)
    ends = sorted(end for begin, end in stretches if end > begin)
    return [
        bisect_left(begins, right) - bisect_right(ends, left) for left, right in pairwise(edges)
    ]


def _area(low: Sequence[int], high: Sequence[int], most: int, color: str) -> str:
    def y(count: int) -> str:
        return f"{_TOP + _PLOT - _PLOT * count / most:.1f}"

    forth = "".join(f"L{_LEFT + a} {y(c)}H{_LEFT + b}" for a, b, c in _steps(high))
    back = "".join(f"L{_LEFT + b} {y(c)}H{_LEFT + a}" for a, b, c in reversed(_steps(low)))
    return f'<path d="M{_LEFT} {y(0)}{forth}{back}Z" fill="{color}"/>'


def _steps(counts: Sequence[int]) -> list[tuple[int, int, int]]:
    """Put equal columns in a row together: from, to, how many."""
    steps: list[tuple[int, int, int]] = []
    column = 0
    for count, equal in groupby(counts):
        end = column + len(list(equal))
        steps.append((column, end, count))
        column = end
    return steps


def _text(x: float, y: float, text: str, color: str, anchor: str = "start") -> str:
    shown = html.escape(safe_text(text))
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}" text-anchor="{anchor}">{shown}</text>'


def _svg(height: int, parts: Sequence[str], title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" font-family="sans-serif" font-size="12" role="img">'
        f"<title>{title}</title>{''.join(parts)}</svg>"
    )
