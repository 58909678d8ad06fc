"""What outputs say rests on claims: absence, merged lines, the gravest first, passed-on codes.

For each sentence: a case in which it is right, and the nearest one in which it is not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.events import (
    BEGIN,
    HOST,
    INIT,
    KILL,
    MS,
    PIDNS,
    SHIM,
    TERM,
    WEB,
    a_fork,
    a_free,
    a_kernel_kill,
    a_notice,
    a_process,
    a_reap,
    a_seed,
    a_signal,
    an_actor,
    an_exit,
    an_oom_mark,
    attached,
    codes,
    correlate,
    finding,
    process,
    report_of,
    start_of,
)
from tests.support.stream import stream, why
from tracer.model.events import Event, LossEvent, ObservationEvent
from tracer.model.identity import ProcessKey
from tracer.model.report import Report
from tracer.model.signals import Disposition
from tracer.model.verdicts import Cause, ExitCodeOrigin, StopSignalDisposition
from tracer.report.text import render_report

T = BEGIN + 1000
LATER = BEGIN + 90_000
DEFAULT: dict[str, Any] = {"disposition": Disposition.DEFAULT}
NOT_SENT, UNKNOWN = StopSignalDisposition.NOT_SENT, StopSignalDisposition.UNKNOWN


def the_end(at: float, **how: Any) -> list[Event]:
    """Init ends and its namespace with it."""
    return [an_exit(at, INIT, parent=SHIM, **how), a_notice(at + 1, INIT, to=SHIM),
            a_free(at + 2, INIT, parent=SHIM)]  # fmt: skip


def text_of(report: Report) -> str:
    return " ".join(render_report(report, width=200).split())


def lost(since: float, until: float, **kinds: int) -> LossEvent:
    return LossEvent(int(until * MS), kinds or {"signal": 1}, int(since * MS))


def born_in_the_trace(*events: Event) -> Report:
    """The report of a container whose init was forked while it was traced."""
    return correlate([attached(), a_fork(BEGIN + 1, INIT, **START), *events], BEGIN + 100_000)


START: dict[str, Any] = {"parent": SHIM, "by": SHIM, "start_boot_ns": BEGIN * MS + 500}


# No stop signal before.


def test_a_kill_of_what_was_born_in_the_trace_had_no_stop_signal_before() -> None:
    who: dict[str, Any] = {"start_boot_ns": BEGIN * MS + 500}
    report = born_in_the_trace(
        a_signal(T, INIT, KILL, subject={"parent": SHIM, **who}),
        an_exit(T + 1, INIT, signo=KILL, parent=SHIM, **who),
        a_free(T + 9, INIT, parent=SHIM, **who),
    )
    assert "was killed by runc, with no prior stop signal;" in report.headline
    detail = finding(report, "ZT106").detail
    assert "with no prior stop signal: a forced kill, not a stop" in detail
    (stop,) = report.stops
    assert (stop.stop_signal_disposition, stop.complete) == (NOT_SENT, True)


def test_a_stop_signal_may_have_been_sent_before_tracing_began() -> None:
    report = report_of(a_signal(T, INIT, KILL), *the_end(T + 1, signo=KILL))
    said = "with no stop signal in the 1.0 s since tracing began"
    assert f"was killed by runc, {said};" in report.headline
    assert "forced kill" not in finding(report, "ZT106").detail
    assert "no prior stop signal" not in text_of(report)
    (stop,) = report.stops
    assert (stop.stop_signal_disposition, stop.complete) == (UNKNOWN, False)
    assert process(report, INIT).stop_signal_disposition is UNKNOWN


def test_a_kill_long_after_tracing_began_is_no_end_of_a_grace() -> None:
    report = report_of(a_signal(LATER, INIT, KILL), *the_end(LATER + 1, signo=KILL))
    assert "in the 1 min 30 s since tracing began: a forced kill" in finding(report, "ZT106").detail
    (stop,) = report.stops
    assert (stop.stop_signal_disposition, stop.complete) == (NOT_SENT, True)


def test_a_lost_signal_may_have_been_the_stop_signal() -> None:
    report = report_of(
        a_signal(LATER, INIT, KILL),
        *the_end(LATER + 1, signo=KILL),
        lost(LATER - 5000, LATER - 4000),
    )
    assert "no stop signal in the" not in report.headline
    (stop,) = report.stops
    assert (stop.stop_signal_disposition, stop.complete) == (UNKNOWN, False)


def test_a_stop_signal_that_was_survived_is_not_denied() -> None:
    report = report_of(
        a_signal(T, INIT, TERM), a_signal(T + 80_000, INIT, KILL), *the_end(T + 80_001, signo=KILL)
    )
    assert "1 min 20 s after a stop signal it had survived" in report.headline
    assert "no prior stop signal" not in text_of(report)


def test_a_grace_that_is_known_to_be_long_counts_longer() -> None:
    patient = replace(WEB, stop_timeout_s=120.0)
    events: list[Event] = [attached(patient), a_seed(INIT), a_signal(LATER, INIT, KILL)]
    report = correlate([*events, *the_end(LATER + 1, signo=KILL)], LATER + 10)
    assert report.stops[0].stop_signal_disposition is UNKNOWN


# A member was not sent it.


def test_a_member_of_a_stop_was_not_sent_its_signal_though_it_is_older_than_the_trace() -> None:
    report = report_of(a_seed(101), a_signal(T), *the_end(T + 100))
    assert process(report, 101).stop_signal_disposition is NOT_SENT
    assert "SIGTERM was not sent to it" in text_of(report)


def test_what_was_sent_to_a_member_before_the_trace_is_not_known() -> None:
    report = report_of(a_seed(101))
    assert process(report, 101).stop_signal_disposition is UNKNOWN


def test_a_loss_outside_the_stop_leaves_it_certain_and_one_within_does_not() -> None:
    events: list[Event] = [a_seed(101), a_signal(LATER), *the_end(LATER + 100)]
    before = report_of(*events, lost(BEGIN + 1000, BEGIN + 2000))
    within = report_of(*events, lost(LATER + 10, LATER + 20))
    assert process(before, 101).stop_signal_disposition is NOT_SENT
    assert process(within, 101).stop_signal_disposition is UNKNOWN
    assert "SIGTERM was not sent to it" not in text_of(within)


# Alone.


def test_an_init_without_other_processes_was_the_only_process() -> None:
    assert report_of(*the_end(T)).headline.endswith("; it was the only process.")


def test_an_init_whose_child_is_gone_was_not_the_only_process() -> None:
    report = report_of(
        a_fork(T - 500, 102), an_exit(T - 400, 102), a_notice(T - 399, 102), a_free(T - 398, 102),
        *the_end(T),
    )  # fmt: skip
    assert report.headline.endswith("; no other process was left.")


def test_whether_it_was_alone_is_not_said_where_a_birth_may_be_lost() -> None:
    report = report_of(*the_end(T), lost(T - 100, T - 50, fork=1))
    assert "only process" not in report.headline
    assert "no other" not in report.headline


# The gravest first.


def a_worker_killed_for_memory(at: float) -> list[Event]:
    return [
        a_seed(101), an_oom_mark(at + 1, 101, by=101), a_kernel_kill(at, 101, 101),
        an_exit(at + 2, 101, signo=KILL), a_notice(at + 3, 101), a_reap(at + 4, 101),
    ]  # fmt: skip


def test_an_oom_kill_of_a_worker_comes_before_the_orderly_end() -> None:
    report = report_of(*a_worker_killed_for_memory(T), *the_end(T + 1002))
    assert process(report, 101).cause is Cause.OOM
    assert report.headline.startswith(
        "The OOM killer killed worker (pid 2, host 101) 1.0 s before PID 1 ended. web ended: "
    )


def test_a_worker_killed_by_hand_comes_before_the_orderly_end() -> None:
    killed: list[Event] = [
        a_seed(101), a_signal(T, 101, KILL), an_exit(T + 1, 101, signo=KILL), a_notice(T + 2),
        a_reap(T + 3),
    ]  # fmt: skip
    report = report_of(*killed, *the_end(T + 2001))
    assert report.headline.startswith(
        "runc (host pid 60) killed worker (pid 2, host 101) with SIGKILL 2.0 s before PID 1 ended."
    )
    assert report_of(*killed).headline.startswith("runc (host pid 60) killed worker")


def test_the_headline_names_two_of_many_kills_and_counts_the_rest() -> None:
    events: list[Event] = []
    for n in range(5):
        # Each of its own sender, as kill(1) is.
        events += [
            a_seed(101 + n),
            a_signal(T + 10 * n, 101 + n, KILL, actor=an_actor(70 + n, comm="kill")),
            an_exit(T + 10 * n + 1, 101 + n, signo=KILL),
        ]
    headline = report_of(*events).headline
    assert headline.count("killed worker") == 2
    assert "3 more processes died of a signal." in headline


def test_a_parent_that_ends_its_own_child_is_not_in_the_headline() -> None:
    report = report_of(
        a_seed(101), a_signal(T, 101, KILL, by=INIT), an_exit(T + 1, 101, signo=KILL),
        a_notice(T + 2), a_reap(T + 3), *the_end(T + 2001),
    )  # fmt: skip
    assert report.headline.startswith("web ended: ")


def test_how_long_init_ran_is_not_how_long_its_teardown_took() -> None:
    report = report_of(*the_end(T))
    assert "app (PID 1) ran for 11.0 s and exited with code 0" in report.headline
    assert "ended in" not in report.headline


def test_an_end_whose_signal_was_not_seen_has_no_known_trigger() -> None:
    (stop,) = report_of(*the_end(T, signo=KILL)).stops
    assert stop.trigger == "unknown"
    (stop,) = report_of(*the_end(T)).stops
    assert stop.trigger == "init_exit"


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("/usr/bin/app serve --token ***", "`app serve --token ***` (PID 1)"),
        ("/bin/sh /srv/app serve", "`sh /srv/app serve` (PID 1)"),
        # Read before it executed what it is now.
        ("runc init", "app (PID 1)"),
        ("app", "app (PID 1)"),
        (f"app {'x' * 100}", f"`app {'x' * 41}...` (PID 1)"),
    ],
)
def test_pid_1_is_named_by_what_it_runs(command: str, name: str) -> None:
    key = ProcessKey(INIT, start_of(INIT))
    report = report_of(ObservationEvent(T * MS, "proc", key, {"cmdline": command}), *the_end(T + 1))
    assert name in report.headline


def test_one_of_many_equal_stops_is_described_and_the_others_are_counted() -> None:
    others = [
        replace(WEB, id=f"{n:012x}", name=f"web{n}", init_host_pid=1000 + n, pidns_inum=PIDNS + n)
        for n in range(1, 13)
    ]
    events: list[Event] = [attached(*others)]
    for n, _ in enumerate(others, 1):
        who: dict[str, Any] = {"pidns_inum": PIDNS + n, "is_init": True, "ns_pid": 1,
                               "parent": SHIM, "parent_pidns_inum": HOST}  # fmt: skip
        events += [
            a_seed(process=a_process(1000 + n, **who)),
            an_exit(T + 10 * n, 1000 + n, code=1, **who),
            a_free(T + 10 * n + 5, 1000 + n, **who),
        ]
    report = correlate(events, T + 1000)
    assert len(report.stops) == 12
    assert report.headline.count(" ended: ") == 1
    assert report.headline.endswith(" (and 11 like it).")


# Merged lines.


def two_killed(first_by: int, second_by: int, apart_ms: int) -> list[Event]:
    return [
        a_seed(101), a_seed(102), a_seed(103), a_seed(104),
        a_signal(T, 101, KILL, by=first_by), an_exit(T + 1, 101, signo=KILL),
        a_signal(T + apart_ms, 102, KILL, by=second_by),
        an_exit(T + apart_ms + 1, 102, signo=KILL),
    ]  # fmt: skip


def test_deaths_by_one_sender_are_one_line_with_the_time_they_took() -> None:
    report = report_of(*two_killed(103, 103, 3000))
    (line,) = [each.text for each in report.timeline if "died of SIGKILL" in each.text]
    assert line == "2 x worker died of SIGKILL, sent by worker, within 3.0 s"
    assert "sent by worker[103]" in text_of(report)
    assert "the first died 3.0 s before the last" in text_of(report)


def test_deaths_by_two_senders_of_one_name_are_two_lines() -> None:
    report = report_of(*two_killed(103, 104, 100))
    lines = [each.text for each in report.timeline if "died of SIGKILL" in each.text]
    assert len(lines) == 2
    assert codes(report).count("ZT106") == 2
    assert "sent by 2 processes, each called worker" in text_of(report)
    assert "before the last" not in text_of(report)


# Exit codes, in the report and in why.


def test_why_names_who_killed_the_child_whose_death_is_passed_on() -> None:
    events = [
        a_seed(101), a_signal(T, 101, KILL, by=70), an_exit(T + 1, 101, signo=KILL),
        a_notice(T + 2, 101), a_reap(T + 3, 101), *the_end(T + 10, code=137),
    ]  # fmt: skip
    report = report_of(*events)
    init = process(report, INIT)
    assert init.exit_code_origin is ExitCodeOrigin.PASSED_ON
    assert (init.passed_on_host_pid, init.passed_on_start_boot_ns) == (101, start_of(101))
    assert "reported that host pid 101 had died of SIGKILL" in text_of(report)
    for told in (why(stream(*events)), why(stream(*events), 1)):
        texts = [step.text for step in told.steps]
        assert [text for text in texts if text.startswith("bash (host pid 70) sent worker")]
        said = "app reported that worker (pid 2, host 101) had died of SIGKILL."
        assert f"137 = 128 + 9: {said}" in texts
        assert "worker (pid 2, host 101)" in told.answer


def test_a_code_that_a_handler_chose_passes_on_nothing() -> None:
    report = report_of(a_signal(T, INIT), *the_end(T + 10, code=143))
    init = process(report, INIT)
    assert (init.exit_code_origin, init.passed_on_host_pid) == (ExitCodeOrigin.HANDLED_SIGNAL, None)
    assert "it handled SIGTERM and chose this code itself" in text_of(report)


def test_a_code_of_nobodys_death_and_no_signal_is_left_open() -> None:
    report = report_of(*the_end(T, code=143))
    assert process(report, INIT).exit_code_origin is ExitCodeOrigin.UNKNOWN
    assert "none of its children was seen dying of SIGTERM" in text_of(report)
    assert process(report_of(*the_end(T, code=1)), INIT).exit_code_origin is None


def test_why_says_of_no_stop_signal_only_what_was_seen() -> None:
    (early, *_) = why(stream(*the_end(T))).steps
    assert early.text.startswith("No stop signal to app")
    assert early.text.endswith("was captured in the 1.0 s since tracing began.")
    (late, *_) = why(stream(*the_end(LATER))).steps
    assert late.text.startswith("No stop signal was sent to app")


def test_why_names_each_sender_of_the_stop_signal() -> None:
    events = [
        a_seed(101), a_seed(102), a_seed(103), a_signal(T),
        a_signal(T + 1, 101, TERM, INIT, **DEFAULT), a_signal(T + 2, 102, TERM, 103, **DEFAULT),
        an_exit(T + 3, 101, signo=TERM), an_exit(T + 4, 102, signo=TERM), *the_end(T + 10),
    ]  # fmt: skip
    texts = [step.text for step in why(stream(*events)).steps]
    assert [text for text in texts if text.startswith("app (host pid 100) sent SIGTERM to worker")]
    assert [text for text in texts if text.startswith("worker (host pid 103) sent SIGTERM")]
    assert [text for text in texts if text.endswith(", 1 of the 3 other processes.")]
    assert "worker (pid 4, host 103) was not sent it." in texts


def test_a_late_reap_does_not_count_itself_among_the_others() -> None:
    one: list[Event] = [
        a_seed(101), a_seed(102), an_exit(T, 101), a_notice(T + 1, 101), a_reap(T + 2500, 101),
    ]  # fmt: skip
    assert "other" not in finding(report_of(*one), "ZT204").detail
    two = [*one, an_exit(T + 5, 102), a_notice(T + 6, 102), a_reap(T + 7, 102)]
    assert "it reaped 1 other" in finding(report_of(*two), "ZT204").detail
