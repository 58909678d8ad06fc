"""A life told by one event says what its single events would, whatever happens around it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain

from tests.support.events import (
    BEGIN,
    INIT,
    SHIM,
    a_notice,
    a_reap,
    a_signal,
    a_zombie_seed,
    an_exit,
    codes,
    process,
    report_of,
)
from tests.support.lifetimes import a_lifetime, as_one
from tracer.model.events import Event, Precision, ReapEvent
from tracer.model.report import Report
from tracer.report.jsonreport import render_report_file

AT = BEGIN + 10
"""When life 0 begins, that of pid 1000."""
PID = 1000


def both(*around: Event, lives: Iterable[int] = (0,), until: float = BEGIN + 100_000) -> Report:
    """The report of lives and what happens around them, which is the same folded and not."""

    def whole() -> Iterator[Iterable[Event]]:
        for number in lives:
            yield a_lifetime(number)

    plain = report_of(*around, *chain.from_iterable(whole()), until=until)
    folded = report_of(*around, *(as_one(life) for life in whole()), until=until)
    assert render_report_file(folded) == render_report_file(plain)
    return folded


def test_a_lifetime_in_a_running_container() -> None:
    report = both(lives=range(7))
    assert [one.exit_code for one in report.processes if one.host_pid >= PID] == [0] * 7


def test_the_pid_had_an_owner_whose_release_was_not_seen() -> None:
    report = both(a_zombie_seed(PID))
    # It is no zombie any more: its pid has another owner.
    assert codes(report) == []
    assert [one.reaped for one in report.zombies] == [True]
    assert len([one for one in report.processes if one.host_pid == PID]) == 2


def test_a_lifetime_within_a_stop_is_a_member_of_it() -> None:
    stop = (
        a_signal(BEGIN + 5), an_exit(BEGIN + 500, INIT), a_notice(BEGIN + 501, INIT, SHIM),
        a_reap(BEGIN + 502, INIT, SHIM),
    )  # fmt: skip
    report = both(*stop)
    assert [one.members for one in report.stops] == [1]
    assert process(report, PID).stop == 0


def test_a_lifetime_that_ended_before_a_stop_is_no_member_of_it() -> None:
    report = both(a_signal(BEGIN + 5_000), an_exit(BEGIN + 5_500, INIT))
    assert [one.members for one in report.stops] == [0]


def test_a_lifetime_of_a_namespace_whose_init_has_exited() -> None:
    report = both(an_exit(BEGIN + 9, INIT))
    assert process(report, PID).end_boot_ns is not None


def test_a_release_that_only_a_look_found_is_no_late_reap() -> None:
    life = as_one(a_lifetime(0, lying=30_000))
    looked = replace(life, precision=Precision.UPPER_BOUND, seen_boot_ns=life.exit_ns)
    assert codes(report_of(looked)) == []
    assert codes(report_of(life)) == ["ZT204"]


def test_a_release_that_only_a_look_found_is_no_better_known_folded() -> None:
    *life, release = a_lifetime(0, lying=400)
    assert isinstance(release, ReapEvent)
    found = replace(
        release, actor=None, precision=Precision.UPPER_BOUND, seen_boot_ns=life[1].boot_ns
    )
    plain, folded = report_of(*life, found), report_of(as_one([*life, found]))
    assert render_report_file(folded) == render_report_file(plain)
    assert process(folded, PID).zombie_ns is not None
