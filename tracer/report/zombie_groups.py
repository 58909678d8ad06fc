"""Zombies by the process that had to collect them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from tracer.model.events import Precision
from tracer.model.report import FoldedZombies, Report, ZombieReport
from tracer.model.verdicts import ReapKind
from tracer.report.page import Line, Page, Span, Style, column
from tracer.wording.pids import format_pids
from tracer.wording.times import format_duration
from tracer.wording.verdicts import REAP_MEANING, SIGCHLD_MEANING, init_word

_COUNT_WIDTH = 10
_NARROW_INDENT = 6
_NAME_WIDTH = 16
_AGE_WIDTH = 21
_MAX_PARENTS = 20
_MAX_ROWS = 12
_BOUND = {Precision.EXACT: "", Precision.UPPER_BOUND: "<= ", Precision.LOWER_BOUND: ">= "}


@dataclass(frozen=True, slots=True)
class ZombieParent:
    """All zombies that one process had to collect."""

    zombies: tuple[ZombieReport, ...]
    is_init: bool

    @property
    def one(self) -> ZombieReport:
        """Any of them: what concerns the parent is the same in all."""
        return self.zombies[0]

    def rows(self) -> list[tuple[ZombieReport, ...]]:
        """Group them by name and fate, the most numerous first."""
        groups: dict[tuple[object, ...], list[ZombieReport]] = {}
        for zombie in self.zombies:
            groups.setdefault(_row_key(zombie), []).append(zombie)
        return sorted((tuple(group) for group in groups.values()), key=lambda group: -len(group))


def group_zombies(report: Report) -> list[ZombieParent]:
    """Group a report's zombies by parent; the one with the most first."""
    inits = {process.host_pid for process in report.processes if process.is_init}
    inits.update(stop.init_host_pid for stop in report.stops)
    groups: dict[tuple[object, ...], list[ZombieReport]] = {}
    for zombie in report.zombies:
        groups.setdefault(_parent_key(zombie), []).append(zombie)
    parents = [
        ZombieParent(tuple(group), group[0].parent_host_pid in inits) for group in groups.values()
    ]
    return sorted(parents, key=lambda parent: -len(parent.zombies))


def add_zombies(page: Page, report: Report, *, most_lines: int | None = None) -> None:
    """Write the section; one line where there is nothing to report."""
    folded = report.folded.zombies
    if not report.zombies and not folded:
        page.heading("Zombies")
        page.text("None: no process remained a zombie for long.", indent=2)
        return
    total = len(report.zombies) + sum(row.count for row in folded)
    left = sum(not zombie.reaped for zombie in report.zombies)
    left += sum(row.count for row in folded if not row.reaped)
    page.heading("Zombies", f"{total} in total, {left or 'none'} left at the end")
    page.text(
        "A zombie is a process that has exited but has not been reaped (wait). It occupies a pid, "
        "and no signal can remove it.",
        indent=2,
        style=Style.DIM,
    )
    parents = group_zombies(report)
    more = _by_parent(folded)
    shown = page.add_within(
        (
            partial(_add_parent, parent=parent, report=report, more=more.get(_whose(parent.one)))
            for parent in parents[:_MAX_PARENTS]
        ),
        most_lines,
    )
    listed = {_whose(parent.one) for parent in parents[:shown]}
    numbers: dict[tuple[object, ...], int] = {}
    for parent in parents[shown:]:
        whose = _whose(parent.one)
        numbers[whose] = numbers.get(whose, 0) + len(parent.zombies)
    for whose, rest in more.items():
        if whose not in listed:
            numbers[whose] = numbers.get(whose, 0) + rest.count
    if numbers:
        count = sum(numbers.values())
        page.text(f"... and {count} more under {len(numbers)} other parents", indent=2)
    _add_legend(page, report.zombies)


@dataclass(slots=True)
class _More:
    """Zombies of one parent that are counted only."""

    count: int = 0
    longest_ns: int = 0


def _by_parent(rows: Iterable[FoldedZombies]) -> dict[tuple[object, ...], _More]:
    more: dict[tuple[object, ...], _More] = {}
    for row in rows:
        one = more.setdefault(_whose(row), _More())
        one.count += row.count
        one.longest_ns = max(one.longest_ns, row.longest_zombie_ns)
    return more


def _whose(zombie: ZombieReport | FoldedZombies) -> tuple[object, ...]:
    return zombie.container_id, zombie.parent_host_pid, zombie.parent_comm


def format_age(zombies: Sequence[ZombieReport]) -> str:
    """Write how long zombies of one precision lasted: ``>= 1.2 s .. 9.8 s``."""
    ages = sorted(zombie.zombie_ns for zombie in zombies if zombie.zombie_ns is not None)
    if not ages:
        return "age unknown"
    bound = _BOUND[zombies[0].precision]
    low, high = format_duration(ages[0]), format_duration(ages[-1])
    return f"{bound}{low}" if low == high else f"{bound}{low} .. {high}"


def _add_parent(page: Page, parent: ZombieParent, report: Report, more: _More | None) -> None:
    one = parent.one
    page.add()
    lead = (Span("  "), Span("to be reaped by ", Style.DIM))
    page.entry(lead, _parent_label(parent, report), style=Style.STRONG)
    about = SIGCHLD_MEANING[one.parent_sigchld]
    if about:
        page.text(f"which {about}", indent=4, style=Style.DIM)
    if one.injected:
        page.text(
            "outside the container: the zombie was injected (docker exec, nsenter, a probe)",
            indent=4,
            style=Style.WARNING,
        )
    rows = parent.rows()
    for row in rows[:_MAX_ROWS]:
        _add_row(page, row)
    rest = rows[_MAX_ROWS:]
    if rest:
        page.text(f"... and {sum(map(len, rest))} more with other names", indent=_COUNT_WIDTH)
    if more is not None:
        page.text(
            f"... and {more.count} more, counted only: up to {format_duration(more.longest_ns)}",
            indent=_COUNT_WIDTH,
        )


def _add_row(page: Page, row: tuple[ZombieReport, ...]) -> None:
    one = row[0]
    style = Style.PLAIN if one.reaped else Style.ERROR
    if page.has_room(_COUNT_WIDTH + _NAME_WIDTH + _AGE_WIDTH):
        lead: Line = (
            column(f"{len(row)} x", _COUNT_WIDTH - 1, Style.STRONG, right=True),
            Span(" "),
            column(one.comm, _NAME_WIDTH - 1, Style.NAME),
            Span(" "),
            column(format_age(row), _AGE_WIDTH - 1),
            Span(" "),
        )
        page.entry(lead, _row_fate(one), style=style)
    else:
        lead = (Span(f"    {len(row)} x ", Style.STRONG), Span(one.comm, Style.NAME))
        page.entry((*lead, Span(": ")), format_age(row))
        page.text(_row_fate(one), indent=_NARROW_INDENT, style=style)
    details = [format_pids([zombie.host_pid for zombie in row])]
    if one.live_threads:
        details.insert(
            0,
            "its main thread exited while others run: it cannot be reaped until they exit",
        )
    for text in details:
        indent = _COUNT_WIDTH if page.has_room(2 * _COUNT_WIDTH) else _NARROW_INDENT
        page.text(text, indent=indent, style=Style.DIM)


def _row_fate(zombie: ZombieReport) -> str:
    if not zombie.reaped:
        return "still a zombie at the end"
    kind = zombie.reap_kind or ReapKind.UNKNOWN
    who = ""
    if zombie.reaper_comm is not None and kind in (ReapKind.ADOPTER, ReapKind.PARENT):
        pid = "" if zombie.reaper_host_pid is None else f"[{zombie.reaper_host_pid}]"
        who = f", {zombie.reaper_comm}{pid}"
    return f"{REAP_MEANING[kind]}{who}"


def _add_legend(page: Page, zombies: Iterable[ZombieReport]) -> None:
    kinds = {zombie.precision for zombie in zombies if zombie.zombie_ns is not None}
    notes = []
    if Precision.LOWER_BOUND in kinds:
        notes.append(">= at least this long: it began before or ended after the trace")
    if Precision.UPPER_BOUND in kinds:
        notes.append("<= at most this long: the kernel reported the reap with a delay")
    if notes:
        page.blank()
    for note in notes:
        page.text(note, indent=2, style=Style.DIM)


def _parent_label(parent: ZombieParent, report: Report) -> str:
    one = parent.one
    if one.parent_host_pid is None:
        label = "an unknown process"
    else:
        label = f"{one.parent_comm or 'a process'}[{one.parent_host_pid}]"
    if parent.is_init:
        label += f", {init_word(report.containers, one.container_id)}"
    if len(report.containers) > 1 and one.container_id is not None:
        names = {container.id: container.label for container in report.containers}
        label += f" of {names.get(one.container_id, one.container_id[:12])}"
    return label


def _parent_key(zombie: ZombieReport) -> tuple[object, ...]:
    return (
        zombie.container_id,
        zombie.parent_host_pid,
        zombie.parent_comm,
        zombie.parent_sigchld,
        zombie.injected,
    )


def _row_key(zombie: ZombieReport) -> tuple[object, ...]:
    return (
        zombie.comm,
        zombie.reaped,
        zombie.reap_kind,
        zombie.reaper_host_pid,
        zombie.reaper_comm,
        zombie.precision,
        bool(zombie.live_threads),
    )
