"""Stops: what begins and ends them, and who is counted as what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.events import (
    BASH,
    BEGIN,
    CGROUP,
    HOST,
    INIT,
    KILL,
    MS,
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
    a_teardown_kill,
    an_exec,
    an_exit,
    an_oom_mark,
    attached,
    codes,
    correlate,
    finding,
    init_end,
    process,
    report_of,
    start_of,
    the_stop,
)
from tracer.model.events import Event, LossEvent, ObservationEvent, SigchldAction
from tracer.model.signals import Disposition, SignalResult
from tracer.model.verdicts import Cause, StopOutcome
from tracer.model.wait_status import WaitStatus

T = BEGIN + 1000
DEFAULT: dict[str, Any] = {"disposition": Disposition.DEFAULT}


def test_orderly_stop_where_every_child_was_signalled() -> None:
    report = report_of(
        a_seed(101), a_signal(T), a_signal(T + 1, 101, TERM, INIT, **DEFAULT),
        an_exit(T + 2, signo=TERM), a_notice(T + 3), a_reap(T + 4), *init_end(T + 5),
    )  # fmt: skip
    stop = the_stop(report)
    assert (stop.trigger, stop.outcome, stop.escalated, stop.complete) == (
        "stop_signal", StopOutcome.STOPPED, False, True,
    )  # fmt: skip
    assert (stop.grace_ns, stop.teardown_ns, stop.duration_ns) == (5 * MS, 2 * MS, 8 * MS)
    assert (stop.members, stop.signalled) == (1, 1)
    assert process(report, 101).cause is Cause.STOP_SIGNAL
    assert codes(report) == []
    assert report.headline == (
        "web was stopped in 8 ms: app (PID 1) received SIGTERM from runc and exited with code 0;"
        " the one other process died of SIGTERM."
    )


def test_two_stop_signals_are_one_stop() -> None:
    report = report_of(a_signal(T), a_signal(T + 3), *init_end(T + 5))
    assert (the_stop(report).grace_ns, codes(report)) == (5 * MS, [])


def test_reload_is_no_stop() -> None:
    report = report_of(a_seed(101), a_signal(T, INIT, 1), a_signal(T + 1, 101, 3, INIT),
                       an_exit(T + 2), a_notice(T + 3), a_reap(T + 4))  # fmt: skip
    assert (report.stops, codes(report)) == ((), [])


def test_stop_signal_from_inside_begins_no_stop() -> None:
    assert report_of(a_seed(101), a_signal(T, by=101)).stops == ()


def test_oom_of_init_begins_a_stop() -> None:
    report = report_of(
        a_seed(101), a_kernel_kill(T, INIT, 101), an_oom_mark(T + 0.01, INIT, 101),
        *init_end(T + 2, signo=KILL),
    )  # fmt: skip
    assert (the_stop(report).trigger, the_stop(report).init_cause) == ("oom", Cause.OOM)


def test_sigkill_from_inside_is_dropped_and_begins_no_stop() -> None:
    report = report_of(a_seed(101), a_signal(T, INIT, KILL, 101, result=SignalResult.IGNORED))
    assert report.stops == ()


def test_stop_signal_survived_for_60_s_and_a_sigkill_after_that() -> None:
    report = report_of(
        a_signal(T), a_signal(T + 61_000, INIT, KILL), *init_end(T + 61_001, signo=KILL)
    )
    assert [(s.outcome, s.trigger, s.escalated) for s in report.stops] == [
        (StopOutcome.SURVIVED, "stop_signal", False), (StopOutcome.STOPPED, "sigkill", False),
    ]  # fmt: skip
    assert process(report, INIT).cause is Cause.RUNTIME_KILL
    assert "1 min 01 s after a stop signal that it had survived" in finding(report, "ZT106").detail


def test_second_stop_signal_gives_another_60_s() -> None:
    report = report_of(
        a_signal(T), a_signal(T + 50_000), a_signal(T + 65_000, INIT, KILL),
        *init_end(T + 65_001, signo=KILL),
    )  # fmt: skip
    assert (the_stop(report).escalated, the_stop(report).grace_ns) == (True, 65_000 * MS)


def test_survived_stop_is_reported_without_another_event() -> None:
    stop = the_stop(report_of(a_signal(T), until=T + 61_000))
    assert (stop.outcome, stop.end_boot_ns) == (StopOutcome.SURVIVED, (T + 60_000) * MS)


def test_stop_in_progress_has_no_outcome() -> None:
    stop = the_stop(report_of(a_seed(101), a_signal(T), until=T + 500))
    assert (stop.outcome, stop.duration_ns, stop.survived) == (None, None, 1)


def test_members_count_in_one_place_each() -> None:
    report = report_of(
        *(a_seed(pid) for pid in range(101, 106)),
        an_exit(T - 900, 101), a_notice(T - 899, 101), a_reap(T - 898, 101),
        an_exit(T - 900, 102), a_notice(T - 899, 102),
        a_signal(T), an_exit(T + 1, 103), a_signal(T + 1, 104, TERM, INIT, **DEFAULT),
        an_exit(T + 2, 104, signo=TERM), a_fork(T + 3, 106), until=T + 100,
    )  # fmt: skip
    stop = the_stop(report)
    assert (stop.members, stop.already_zombie, stop.exited, stop.signalled, stop.survived) == (
        5, 1, 1, 1, 2,
    )  # fmt: skip


def test_teardown_held_up_by_an_injected_zombie() -> None:
    start = {"start_boot_ns": a_process(102).start_boot_ns}
    report = report_of(
        a_fork(T - 9, 102, parent=BASH, **start), an_exit(T, INIT, parent=SHIM),
        a_teardown_kill(T + 1, 102), an_exit(T + 2, 102, signo=KILL, parent=BASH),
        a_notice(T + 3, 102, to=BASH), until=T + 5000,
    )  # fmt: skip
    held = finding(report, "ZT107")
    assert held.title == "the teardown of web was not finished after 5.0 s"
    assert "bash (host pid 70), outside the namespace, had not yet reaped it" in held.detail


def test_container_in_the_hosts_namespace_is_identified_by_cgroup_and_what_it_forks() -> None:
    shared = replace(WEB, has_own_pidns=False, pidns_inum=HOST, init_host_pid=INIT)
    host: dict[str, Any] = {
        "pidns_inum": HOST, "pidns_level": 0, "is_init": False, "init_start_boot_ns": 1,
        "parent_pidns_inum": HOST,
    }  # fmt: skip
    inits = {**host, "cgroup_id": CGROUP}
    below = {**host, "cgroup_id": 5151}
    events: list[Event] = [
        attached(shared),
        a_seed(INIT, process=a_process(INIT, **inits)),
        a_fork(T, 101, start_boot_ns=int(T * MS), **inits),
        # It moves into a cgroup below, and forks there.
        a_fork(T + 1, 102, parent=101, start_boot_ns=int(T * MS) + 1, **below,
               parent_start_boot_ns=int(T * MS)),
        a_signal(T + 2, INIT, TERM, subject=inits, target_unkillable=False, **DEFAULT),
        an_exit(T + 3, INIT, signo=TERM, **inits),
    ]  # fmt: skip
    report = correlate(events, T + 100)
    stop = the_stop(report)
    assert (stop.container_name, stop.members, stop.init_cause) == ("web", 2, Cause.STOP_SIGNAL)
    assert process(report, 102).container_id == WEB.id
    assert stop.teardown_ns is None


@pytest.mark.parametrize("kprobes", [True, False])
def test_whom_an_init_reaped_just_before_it_left_was_not_left_behind(kprobes: bool) -> None:
    # Zombies for 5 s. 101 is waited for, and freed only after init is gone; 102 is not.
    # 103 goes by itself at that very moment: a parent that ignores SIGCHLD is not notified.
    events: list[Event] = [a_seed(101), a_seed(102), a_seed(103)]
    for pid in (101, 102):
        events += [an_exit(T, pid), a_notice(T + 1, pid)]
    events += [
        an_exit(T + 4999.9, 103, parent_sigchld=SigchldAction.IGNORED), a_free(T + 5020, 103),
        an_exit(T + 5000, INIT, parent=SHIM),
        a_teardown_kill(T + 5001, 102, result=SignalResult.IGNORED, target_live_threads=0),
        a_free(T + 5020, 101), a_free(T + 5020, 102), a_notice(T + 5002, INIT, to=SHIM),
        a_free(T + 5025, INIT, parent=SHIM),
    ]  # fmt: skip
    if kprobes:
        events += [
            a_reap(T + 4999, 101), a_reap(T + 5001.5, 102),
            a_reap(T + 5000.1, 103, by=103, exiting=True), a_reap(T + 5003, INIT, by=SHIM),
        ]  # fmt: skip
    stop = the_stop(report_of(*events))
    assert (stop.trigger, stop.members, stop.already_zombie) == ("init_exit", 1, 1)


@pytest.mark.parametrize("began", ["born", "ran a program", "before", "loss"])
def test_init_killed_before_it_ran_its_program(began: str) -> None:
    # A program may give itself that name: only from its birth on is it known to be none.
    born: dict[str, Any] = {"comm": "runc:[2:INIT]", "start_boot_ns": start_of(INIT)}
    first = a_seed(INIT) if began == "before" else a_fork(T - 2, INIT, SHIM, parent=SHIM, **born)
    events: list[Event] = [
        first,
        a_signal(T, INIT, KILL, subject=born),
        an_exit(T + 1, INIT, signo=KILL, parent=SHIM, **born),
    ]
    if began == "ran a program":
        events.append(an_exec(T - 1, INIT, **born))
    if began == "loss":
        events.append(LossEvent(int((T - 0.5) * MS), {"exec": 1}, (T - 1) * MS))
    report = correlate([attached(), *events], T + 100_000)
    is_said = "which had not started its program yet" in report.headline
    assert is_said == (began == "born"), report.headline
    assert "(PID 1)" in report.headline or is_said


@pytest.mark.parametrize("is_notified", [True, False])
def test_an_init_that_no_process_reaps_is_no_unfinished_teardown(is_notified: bool) -> None:
    kill = a_signal(T + 5, INIT, KILL)
    notice = [a_notice(T + 7, INIT, to=SHIM)] if is_notified else []
    report = report_of(a_signal(T), kill, an_exit(T + 6, INIT, signo=KILL, parent=SHIM), *notice)
    said = "was torn down, but its init was not reaped by the end of the trace"
    assert (said in report.headline) == is_notified
    assert ("had not finished its teardown" in report.headline) != is_notified


def test_engine_says_who_asked() -> None:
    words = {"container_id": WEB.id, "action": "kill", "signal": "SIGTERM", "exit_code": None}
    said = ObservationEvent((T - 1) * MS, "docker", None, words)
    report = report_of(said, a_signal(T))
    assert report.timeline[0].text == "docker reported: web: kill, SIGTERM"


def test_status_of_a_lost_exit_comes_with_the_release() -> None:
    reap = replace(a_reap(T), status=WaitStatus(7, None, False))
    lost = LossEvent((T + 1) * MS, {"exit": 1}, (T - 1) * MS)
    one = process(report_of(a_seed(101), reap, lost), 101)
    assert (one.exit_code, one.end_boot_ns, one.complete) == (7, None, False)
