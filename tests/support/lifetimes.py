"""Lives of processes by the thousand, and what a trace that keeps few in detail makes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from tests.support.events import (
    BASH,
    BEGIN,
    INIT,
    KILL,
    MS,
    a_fork,
    a_notice,
    a_reap,
    a_seed,
    a_signal,
    an_exit,
    attached,
)
from tracer.correlate.correlator import Correlator, CorrelatorOptions
from tracer.diagnose.summary import correlate, summarise
from tracer.model.events import (
    EndEvent,
    Event,
    ExitEvent,
    ForkEvent,
    LifetimeEvent,
    ReapEvent,
    SignalEvent,
)
from tracer.model.report import Report

DETAIL = 50


def fed(events: Iterable[Event], **options: Any) -> Correlator:
    correlator = correlate(CorrelatorOptions(**{"detail": DETAIL, **options}))
    correlator.feed(attached())
    correlator.feed(a_seed(INIT))
    for event in events:
        correlator.feed(event)
    return correlator


def concluded(correlator: Correlator) -> Report:
    correlator.feed(EndEvent(correlator.now_ns + MS, "test"))
    return summarise(correlator)


def who(number: int, **where: Any) -> tuple[int, dict[str, Any]]:
    """A pid that comes again after a while, as pids do, and what makes it unique."""
    return 1000 + number % 20_000, {"start_boot_ns": (BEGIN + 10 + number) * MS - 1000, **where}


def a_lifetime(number: int, *, code: int = 0, lying: float = 0.2, **where: Any) -> Iterator[Event]:
    """A child of PID 1, or of bash, that exits and is reaped."""
    at = BEGIN + 10 + number
    pid, what = who(number, **where)
    parent = where.get("parent", INIT)
    yield a_fork(at, pid, **what)
    yield an_exit(at + 0.1, pid, code=code, **what)
    yield a_notice(
        at + 0.15, pid, to=parent, child_start=what["start_boot_ns"],
        comm=what.get("comm", "worker"),
    )  # fmt: skip
    yield a_reap(at + 0.15 + lying, pid, by=parent, **what)


def as_one(life: Iterable[Event]) -> LifetimeEvent:
    """The same life as the kernel side emits it when it folds."""
    birth, end, notice, release = life
    assert isinstance(birth, ForkEvent)
    assert isinstance(end, ExitEvent)
    assert isinstance(notice, SignalEvent)
    assert isinstance(release, ReapEvent)
    return LifetimeEvent(
        boot_ns=release.boot_ns,
        process=release.process,
        born_comm=birth.process.comm,
        forked_ns=birth.boot_ns,
        exec_ns=None,
        executed=None,
        exit_ns=end.boot_ns,
        status=end.status,
        notified_ns=notice.boot_ns,
        precision=release.precision,
        parent_sigchld=end.parent_sigchld,
        si_code=notice.si_code or 0,
        si_pid=notice.si_pid or 0,
        disposition=notice.disposition,
        result=notice.result,
        seen_boot_ns=release.seen_boot_ns,
    )


def a_death(number: int, *, by: int = BASH, **where: Any) -> Iterator[Event]:
    """A child of PID 1 that somebody kills, and that is reaped at once."""
    at = BEGIN + 10 + number
    pid, what = who(number, **where)
    yield a_fork(at, pid, **what)
    yield a_signal(at + 0.05, pid, KILL, by, subject=what)
    yield an_exit(at + 0.1, pid, signo=KILL, **what)
    yield a_notice(
        at + 0.15, pid, child_start=what["start_boot_ns"], comm=what.get("comm", "worker")
    )
    yield a_reap(at + 0.2, pid, **what)


def chained(lives: Iterable[Iterable[Event]]) -> Iterator[Event]:
    for life in lives:
        yield from life


def by_end(report: Report) -> Counter[tuple[object, ...]]:
    """How many processes ended how: listed or counted."""
    counts: Counter[tuple[object, ...]] = Counter(
        (one.end, one.exit_code, one.cause) for one in report.processes
    )
    for row in report.folded.processes:
        counts[row.end, row.exit_code, row.cause] += row.count
    return counts
