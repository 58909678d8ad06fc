"""What the graphical reports draw: lives, signals and marks in order of time."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import dataclass

from tracer.model.annotated import Annotated
from tracer.model.events import Event, ForkFailedEvent, OomEvent, SignalEvent
from tracer.model.identity import ProcessKey
from tracer.model.report import Report
from tracer.report.picture.arrows import Arrow, read_arrow
from tracer.report.picture.lives import Life, Lives


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that befell one process at one moment."""

    boot_ns: int
    target: ProcessKey
    text: str


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a picture may hold; None = everything."""

    lives: int | None = None
    arrows: int | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A report with what happened on the way to it.

    Args:
        report: The conclusion.
        lives: The processes, oldest first.
        arrows: The signals in order of time.
        marks: Failed forks and out-of-memory kills.
        left_out_lives: Processes over the limit.
        left_out_arrows: Signals over the limit.
    """

    report: Report
    lives: tuple[Life, ...]
    arrows: tuple[Arrow, ...]
    marks: tuple[Mark, ...]
    left_out_lives: int
    left_out_arrows: int


def make_picture(
    report: Report, events: Iterable[Annotated], limits: Limits | None = None
) -> Picture:
    """Read the events once and put them together with the report.

    Where a limit is hit, what the report names and what turned the story stays;
    the rest goes in order of time.

    Args:
        report: The conclusion of the trace the events are of.
        events: Every event with its conclusions, in order of time.
        limits: How much to keep.
    """
    limits = limits or Limits()
    lives = Lives()
    arrows: list[Arrow] = []
    marks: list[Mark] = []
    for annotated in events:
        lives.follow(annotated)
        event = annotated.event
        if isinstance(event, SignalEvent):
            arrows.append(read_arrow(annotated, event, lives))
        elif (mark := _read_mark(event)) is not None:
            marks.append(mark)
    lives.complete(report)
    kept = _keep_lives(lives, limits.lives)
    keys = {life.key for life in kept}
    drawable = [arrow for arrow in arrows if arrow.target in keys]
    drawn = _keep_arrows(drawable, limits.arrows)
    return Picture(
        report=report,
        lives=tuple(sorted(kept, key=lambda life: (life.begin_ns or 0, life.key))),
        arrows=tuple(drawn),
        marks=tuple(mark for mark in marks if mark.target in keys),
        left_out_lives=len(lives) - len(kept),
        left_out_arrows=len(arrows) - len(drawn),
    )


def _read_mark(event: Event) -> Mark | None:
    if isinstance(event, ForkFailedEvent):
        name = errno.errorcode.get(abs(event.errno), str(abs(event.errno)))
        return Mark(event.boot_ns, event.process.key, f"a fork failed: {name}")
    if isinstance(event, OomEvent):
        return Mark(event.boot_ns, event.process.key, "chosen by the OOM killer")
    return None


def _keep_lives(lives: Lives, limit: int | None) -> list[Life]:
    everyone = list(lives)
    if limit is None or len(everyone) <= limit:
        return everyone
    return sorted(everyone, key=_life_rank)[:limit]


def _life_rank(life: Life) -> tuple[int, int]:
    if life.is_init or life.zombie is not None:
        return 0, life.begin_ns or 0
    if life.sent_count and not life.is_outside:
        return 1, life.begin_ns or 0
    return (2 if life.report is not None else 3), life.begin_ns or 0


def _keep_arrows(arrows: list[Arrow], limit: int | None) -> list[Arrow]:
    if limit is None or len(arrows) <= limit:
        return arrows
    best = sorted(arrows, key=_arrow_rank)[:limit]
    return sorted(best, key=lambda arrow: arrow.boot_ns)


def _arrow_rank(arrow: Arrow) -> tuple[int, int]:
    rank = 0 if arrow.is_turning_point else (2 if arrow.is_notification else 1)
    return rank, arrow.boot_ns
