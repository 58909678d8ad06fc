"""What was lost is not concluded from: no error or warning that a lost record would refute."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.events import (
    BEGIN,
    INIT,
    KILL,
    MS,
    RUNC,
    SHIM,
    a_free,
    a_notice,
    a_process,
    a_reap,
    a_seed,
    a_signal,
    a_teardown_kill,
    an_exec,
    an_exit,
    codes,
    finding,
    process,
    to_the_dead,
)
from tests.support.events import report_of as report_until
from tracer.correlate.losses import LATE
from tracer.model.events import OVERRUN, Event, LossEvent, ObservationEvent, Precision
from tracer.model.report import Report
from tracer.model.signals import Disposition
from tracer.model.verdicts import ReapKind, Severity, StopSignalDisposition

T = BEGIN + 100_000


NEWER = (a_seed(109), a_signal(BEGIN + 1, 109, KILL, **to_the_dead()))
"""Shows that this kernel drops what comes to the dying: the first signal it took killed."""


def lost(since: float, until: float, *kinds: str) -> LossEvent:
    """Records that were lost between two instants, ms after T."""
    return LossEvent(int((T + until) * MS), dict.fromkeys(kinds, 1), int((T + since) * MS))


def report_of(*events: Event, until: float = T + 100_000) -> Report:
    return report_until(*events, until=until)


def a_zombie(until: float | None) -> list[Event]:
    """A child of PID 1 that ended at T, and what tells of its release."""
    events: list[Event] = [a_seed(101), an_exit(T), a_notice(T + 1)]
    return events if until is None else [*events, a_free(T + until)]


def test_release_whose_record_was_lost_makes_no_late_reap() -> None:
    # A stand-in tells of it once the tracer has looked, 30 s later.
    report = report_of(*a_zombie(30_000), lost(500, 30_100, "free"))
    assert codes(report) == ["ZT901"]
    assert report.zombies == ()


def test_release_that_only_a_late_look_found_makes_no_late_reap() -> None:
    # The tracer had no CPU time: nothing was lost, and it looked 30 s later.
    late = replace(a_free(T + 30_000), seen_boot_ns=T * MS)
    assert codes(report_of(*a_zombie(None), late)) == []
    late = replace(a_free(T + 30_000), seen_boot_ns=(T + 5000) * MS)
    assert codes(report_of(*a_zombie(None), late)) == ["ZT204"]


def test_the_next_owner_of_a_pid_makes_no_leak_where_the_release_was_lost() -> None:
    heir = a_seed(101, process=a_process(101, start_boot_ns=(T + 20_000) * MS))
    report = report_of(*a_zombie(None), lost(500, 30_100, "free"), heir)
    assert codes(report) == ["ZT901"]


def test_zombie_that_was_seen_before_the_loss_is_old_all_the_same() -> None:
    seen = ObservationEvent((T + 5000) * MS, "proc", a_process(INIT).key, {
        "reading": "parent", "state": "S", "is_waiting": False, "zombie_host_pids": [101],
    })  # fmt: skip
    report = report_of(*a_zombie(30_000), seen, lost(6000, 30_100, "free"))
    assert "ZT204" in codes(report)
    (one,) = report.zombies
    assert one.precision is Precision.UPPER_BOUND


def test_zombie_of_another_time_is_blamed_on_its_parent_all_the_same() -> None:
    report = report_of(*a_zombie(30_000), lost(40_000, 50_000, "free", "signal"))
    assert finding(report, "ZT204").severity is Severity.WARNING


def doubtful(report: Report, code: str, *words: str) -> None:
    found = finding(report, code)
    assert (found.severity, found.complete) == (Severity.INFO, False)
    assert found.title.startswith("uncertain: ")
    for word in words:
        assert word in found.detail


def test_zombie_that_may_have_changed_hands_unseen_is_certain_of_no_one() -> None:
    events: list[Event] = [
        a_seed(101),
        an_exit(T),
        a_notice(T + 1),
        a_reap(T + 30_000),
        a_free(T + 30_010),
    ]
    doubtful(
        report_of(*events, lost(10_000, 20_000, "signal")),
        "ZT204",
        "Some events of that time were lost (signals)",
        "whether another process had to reap it for part of it is unknown",
    )


def test_zombie_that_is_still_seen_under_its_parent_is_its_parents_for_certain() -> None:
    events: list[Event] = [
        a_seed(101),
        an_exit(T),
        a_notice(T + 1),
        lost(10_000, 20_000, "signal", "free"),
    ]
    assert codes(report_of(*events)) == ["ZT901"]
    seen = ObservationEvent((T + 50_000) * MS, "proc", a_process(INIT).key, {
        "reading": "zombies", "zombie_host_pids": [101],
    })  # fmt: skip
    blame = finding(report_of(*events, seen), "ZT201")
    assert (blame.severity, "uncertain" in blame.title) == (Severity.ERROR, False)


def test_reaper_that_is_not_known_is_not_said_never_to_have_waited() -> None:
    # Whom the kernel told last is dead by the time the release is told of.
    events: list[Event] = [
        a_seed(102), a_seed(101, parent=102), an_exit(T, 101, parent=102),
        a_notice(T + 1, 101, to=102), an_exit(T + 5000, 102), a_free(T + 5001, 101, parent=999),
    ]  # fmt: skip
    report = report_of(*events)
    assert process(report, 101).reap_kind is ReapKind.UNKNOWN
    blame = finding(report, "ZT204")
    assert "never" not in blame.detail
    assert "Which process finally reaped it is unknown." in blame.detail


def test_zombie_handed_on_a_moment_ago_is_not_blamed_on_its_new_parent() -> None:
    events: list[Event] = [
        a_seed(102), a_seed(101, parent=102), an_exit(T, 101, parent=102),
        a_notice(T + 1, 101, to=102), an_exit(T + 5000, 102),
        a_notice(T + 5001, 101, by=102), a_notice(T + 5001.1, 102), a_free(T + 5020, 102),
    ]  # fmt: skip
    assert codes(report_of(*events, until=T + 5100)) == []
    assert codes(report_of(*events, until=T + 7000)) == ["ZT202"]


def a_stop_not_passed_on() -> list[Event]:
    return [
        *NEWER, a_seed(101), a_signal(T), an_exit(T + 300, INIT, parent=SHIM),
        a_teardown_kill(T + 301), an_exit(T + 302, signo=KILL),
        a_free(T + 310), a_notice(T + 303, INIT, to=SHIM), a_free(T + 320, INIT, parent=SHIM),
    ]  # fmt: skip


def test_signals_lost_while_it_stopped_may_have_passed_the_stop_on() -> None:
    assert finding(report_of(*a_stop_not_passed_on()), "ZT102").severity is Severity.ERROR
    report = report_of(*a_stop_not_passed_on(), lost(100, 200, "signal"))
    doubtful(report, "ZT102", "whether it was signalled is unknown")
    # The stop may have begun with a signal that was lost, and been passed on then.
    report = report_of(*a_stop_not_passed_on(), lost(-30_000, -20_000, "signal"))
    doubtful(report, "ZT102", "whether it was signalled is unknown")


def test_lost_end_of_a_teardown_does_not_hold_it_up() -> None:
    events: list[Event] = [a_seed(101), an_exit(T, INIT, parent=SHIM), a_teardown_kill(T + 1)]
    assert "ZT107" in codes(report_of(*events, until=T + 5000))
    report = report_of(*events, lost(100, 2000, "signal", "free", "exit"), until=T + 5000)
    assert codes(report) == ["ZT901"]


def test_last_thread_whose_end_was_lost_does_not_run_on_for_ever() -> None:
    events: list[Event] = [a_seed(101), an_exit(T, live_threads=2)]
    assert codes(report_of(*events)) == ["ZT203"]
    assert codes(report_of(*events, lost(100, 200, "exit"))) == ["ZT901"]


def test_stop_is_not_survived_where_its_end_may_be_lost() -> None:
    asked = [a_signal(T)]
    assert "survived its stop signal" in report_of(*asked).headline
    report = report_of(*asked, lost(100, 70_000, "signal", "exit"))
    (stop,) = report.stops
    assert (stop.outcome, stop.end_boot_ns) == (None, None)
    assert "the outcome was not captured" in report.headline
    # It was there afterwards: it did survive.
    report = report_of(*asked, lost(100, 70_000, "signal", "exit"), an_exec(T + 80_000, INIT))
    assert "survived its stop signal" in report.headline


def test_lost_sigcont_leaves_open_whether_init_was_stopped() -> None:
    events: list[Event] = [
        a_signal(T - 100, INIT, 19, disposition=Disposition.DEFAULT),
        a_signal(T), a_signal(T + 10_000, INIT, KILL), an_exit(T + 10_001, INIT, signo=KILL),
    ]  # fmt: skip
    assert "it was stopped (SIGSTOP)" in finding(report_of(*events), "ZT103").detail
    report = report_of(*events, lost(100, 200, "signal"))
    assert "SIGSTOP" not in finding(report, "ZT103").detail


def test_worker_ended_by_its_supervisor_may_have_been_asked_to_stop() -> None:
    # QUIT to a worker: the way in which some pass a TERM on that was lost here.
    events: list[Event] = [
        *NEWER, a_seed(101), a_signal(T, 101, 3, by=INIT, disposition=Disposition.DEFAULT),
        an_exit(T + 1, 101, signo=3), a_free(T + 20, 101),
    ]  # fmt: skip
    told = finding(report_of(*events), "ZT106")
    assert (told.severity, told.title) == (
        Severity.INFO, "app killed its own child worker with SIGQUIT"
    )  # fmt: skip
    report = report_of(*events, lost(-20_000, -10_000, "signal"))
    doubtful(report, "ZT106", "whether this signal forwarded a stop signal is unknown")


@pytest.mark.parametrize(
    ("at", "words", "is_certain"),
    [
        (BEGIN + 3000, "with no stop signal in the 3.0 s since tracing began.", False),
        (
            T,
            "with no stop signal in the 1 min 40 s since tracing began: a forced kill, not a stop.",
            True,
        ),
    ],
)
def test_that_no_stop_signal_came_is_said_of_the_time_that_was_seen(
    at: float, words: str, is_certain: bool
) -> None:
    report = report_of(
        a_signal(at, INIT, KILL, by=RUNC), an_exit(at + 1, INIT, signo=KILL, parent=SHIM)
    )
    told = finding(report, "ZT106")
    assert words in told.detail
    assert words.split(":", maxsplit=1)[0].rstrip(".") in report.headline
    (stop,) = report.stops
    assert (told.complete, stop.complete, process(report, INIT).complete) == (is_certain,) * 3
    assert stop.stop_signal_disposition is (
        StopSignalDisposition.NOT_SENT if is_certain else StopSignalDisposition.UNKNOWN
    )


def test_tracer_that_held_a_zombie_before_is_not_taken_for_its_parent() -> None:
    seed = a_seed(101, is_zombie=True, live_threads=0, tracer_host_pid=70, status=None)
    report = report_of(seed, until=BEGIN + 5000)
    assert "traces 1 zombie" in finding(report, "ZT201").title


@pytest.mark.parametrize("kind", [LATE, OVERRUN])
def test_records_of_an_unknown_kind_may_be_any_that_a_verdict_rests_on(kind: str) -> None:
    report = report_of(*a_zombie(30_000), lost(500, 30_100, kind))
    assert codes(report) == ["ZT901"]
    assert report.zombies == ()
    # Lost before the zombie was one, they concern it as little as any other.
    before = report_of(*a_zombie(30_000), lost(-5_000, -2_000, kind))
    assert codes(before) == ["ZT204", "ZT901"]


def test_a_kind_that_a_verdict_does_not_rest_on_leaves_it_alone() -> None:
    assert codes(report_of(*a_zombie(30_000), lost(500, 30_100, "oom"))) == ["ZT204", "ZT901"]
