"""Stops: what begins and ends them, who is counted as what, and who is to blame."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.replay.builders import (
    BASH,
    BEGIN,
    CGROUP,
    HOST,
    INIT,
    KILL,
    MS,
    RUNC,
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
    an_actor,
    an_exit,
    an_oom_mark,
    attached,
    codes,
    correlate,
    finding,
    process,
    report_of,
)
from tracer.model.events import Event, LossEvent, ObservationEvent, SigchldAction, SignalInfo
from tracer.model.report import Report, StopReport
from tracer.model.signals import Disposition, SignalResult
from tracer.model.verdicts import Cause, StopOutcome, StopSignalDisposition
from tracer.model.wait_status import WaitStatus

T = BEGIN + 1000
DROPPED: dict[str, Any] = {
    "result": SignalResult.IGNORED, "disposition": Disposition.DEFAULT
}  # fmt: skip
DEFAULT: dict[str, Any] = {"disposition": Disposition.DEFAULT}


def init_end(at: float, **how: Any) -> list[Event]:
    """Init ends, its shim is told and reaps it."""
    return [an_exit(at, INIT, parent=SHIM, **how), a_notice(at + 2, INIT, to=SHIM),
            a_reap(at + 3, INIT, by=SHIM)]  # fmt: skip


def the_stop(report: Report) -> StopReport:
    (stop,) = report.stops
    return stop


def test_orderly_stop_where_every_child_was_told() -> None:
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
        "web was stopped in 8 ms: app (PID 1) got SIGTERM from runc and exited with code 0; its"
        " 1 other process died of another signal."
    )


def test_dropped_stop_signal_and_sigkill_after_the_grace() -> None:
    report = report_of(
        a_signal(T, **DROPPED), a_signal(T + 10_000, INIT, KILL),
        *init_end(T + 10_001, signo=KILL),
    )  # fmt: skip
    assert codes(report) == ["ZT101", "ZT103"]
    assert process(report, INIT).cause is Cause.GRACE_EXPIRED
    assert report.headline == (
        "web was stopped in 10.0 s: app (PID 1) has no SIGTERM handler, so the kernel dropped it,"
        " and runc sent SIGKILL 10.0 s later; it was alone."
    )
    assert "no handler" in finding(report, "ZT103").detail


def test_ignored_stop_signal_is_not_called_dropped() -> None:
    how: dict[str, Any] = {
        "result": SignalResult.IGNORED, "disposition": Disposition.IGNORED
    }  # fmt: skip
    report = report_of(
        a_signal(T, **how), a_signal(T + 9, INIT, KILL), *init_end(T + 10, signo=KILL)
    )
    assert codes(report) == ["ZT103"]
    assert "it ignores SIGTERM" in finding(report, "ZT103").detail


def test_signal_to_an_init_that_is_ending_already_is_not_called_dropped() -> None:
    report = report_of(a_signal(T, **DROPPED, target_group_exit=True), *init_end(T + 1))
    assert (the_stop(report).trigger, codes(report)) == ("init_exit", [])


def test_init_that_forwards_nothing_is_to_blame() -> None:
    report = report_of(
        a_seed(101), a_signal(T), an_exit(T + 1, INIT, parent=SHIM), a_teardown_kill(T + 2),
        an_exit(T + 3, signo=KILL), a_free(T + 20), a_notice(T + 4, INIT, to=SHIM),
        a_free(T + 30, INIT, parent=SHIM),
    )  # fmt: skip
    blame = finding(report, "ZT102")
    assert blame.host_pids == (INIT, 101)
    assert blame.title == "PID 1 of web did not pass SIGTERM on"
    assert blame.detail == (
        "app (pid 1, host 100) got SIGTERM, did not pass it on to worker, and exited with code 0"
        " 1 ms later. The kernel then killed what was left of the namespace with SIGKILL:"
        " 1 process had no chance to end in order."
    )
    assert (the_stop(report).sigkilled, the_stop(report).duration_ns) == (1, 30 * MS)


def test_shell_in_the_middle_is_to_blame_and_not_the_init_that_forwarded() -> None:
    report = report_of(
        a_seed(101, process=a_process(101, comm="sh")),
        a_seed(102, process=a_process(102, parent=101)),
        a_signal(T), a_signal(T + 1, 101, TERM, INIT, subject={"comm": "sh"}, **DEFAULT),
        an_exit(T + 2, signo=TERM, comm="sh"), a_notice(T + 3, comm="sh"), a_reap(T + 4),
        an_exit(T + 5, INIT, parent=SHIM), a_teardown_kill(T + 6, 102),
        an_exit(T + 7, 102, signo=KILL), a_notice(T + 8, INIT, to=SHIM),
    )  # fmt: skip
    blame = finding(report, "ZT102")
    assert blame.host_pids == (101, 102)
    assert "`exec`" in blame.advice


@pytest.mark.parametrize("signo", [3, 28])
def test_translated_signal_was_a_word(signo: int) -> None:
    report = report_of(
        a_seed(101), a_signal(T), a_signal(T + 1, 101, signo, INIT),
        an_exit(T + 2, INIT, parent=SHIM), a_teardown_kill(T + 3), an_exit(T + 4, signo=KILL),
        a_notice(T + 5, INIT, to=SHIM), a_reap(T + 6, INIT, by=SHIM),
    )  # fmt: skip
    assert codes(report) == []


def test_death_by_the_translated_signal_is_no_finding() -> None:
    report = report_of(
        a_seed(101), a_signal(T), a_signal(T + 1, 101, 3, INIT, **DEFAULT),
        an_exit(T + 2, signo=3), a_notice(T + 3), a_reap(T + 4), *init_end(T + 5),
    )  # fmt: skip
    assert (process(report, 101).cause, codes(report)) == (Cause.KILL, [])


def test_children_that_leave_by_themselves_need_no_signal() -> None:
    report = report_of(
        a_seed(101), a_signal(T), an_exit(T + 2), a_notice(T + 3), a_reap(T + 4),
        *init_end(T + 5),
    )  # fmt: skip
    assert (codes(report), the_stop(report).exited) == ([], 1)


def test_sigwait_init_is_innocent() -> None:
    report = report_of(a_signal(T, disposition=Disposition.BLOCKED), *init_end(T + 5))
    assert the_stop(report).stop_signal_disposition is StopSignalDisposition.BLOCKED
    assert codes(report) == []


def test_two_stop_signals_are_one_stop() -> None:
    report = report_of(a_signal(T), a_signal(T + 3), *init_end(T + 5))
    assert (the_stop(report).grace_ns, codes(report)) == (5 * MS, [])


def test_reload_is_no_stop() -> None:
    report = report_of(a_seed(101), a_signal(T, INIT, 1), a_signal(T + 1, 101, 3, INIT),
                       an_exit(T + 2), a_notice(T + 3), a_reap(T + 4))  # fmt: skip
    assert (report.stops, codes(report)) == ((), [])


def test_stop_signal_from_inside_begins_no_stop() -> None:
    assert report_of(a_seed(101), a_signal(T, by=101)).stops == ()


def test_handler_that_raises_the_signal_again_dies_of_the_stop_signal() -> None:
    report = report_of(
        a_seed(101), a_signal(T), a_signal(T + 1, 101, TERM, INIT),
        a_signal(T + 2, 101, TERM, 101, **DEFAULT), an_exit(T + 3, signo=TERM),
    )  # fmt: skip
    one = process(report, 101)
    assert (one.cause, one.stop_signal_disposition) == (
        Cause.STOP_SIGNAL, StopSignalDisposition.CAUGHT,
    )  # fmt: skip


def test_strangers_signal_during_a_stop_is_a_kill() -> None:
    report = report_of(
        a_seed(101), a_signal(T), a_signal(T + 1, 101, TERM, BASH, **DEFAULT),
        an_exit(T + 2, signo=TERM),
    )  # fmt: skip
    assert process(report, 101).cause is Cause.KILL
    assert codes(report) == ["ZT106"]


def test_signal_of_a_docker_execed_process_during_a_stop_is_a_kill() -> None:
    start = {"start_boot_ns": a_process(102).start_boot_ns}
    report = report_of(
        a_seed(101), a_fork(T - 9, 102, parent=RUNC, **start), a_signal(T),
        a_signal(T + 1, 101, TERM, 102, **DEFAULT), an_exit(T + 2, signo=TERM),
    )  # fmt: skip
    assert process(report, 101).cause is Cause.KILL


def test_killed_docker_exec_is_not_for_init_to_tell() -> None:
    start = {"start_boot_ns": a_process(102).start_boot_ns}
    report = report_of(
        a_fork(T - 9, 102, parent=RUNC, **start), a_signal(T), an_exit(T + 1, INIT, parent=SHIM),
        a_teardown_kill(T + 2, 102), an_exit(T + 3, 102, signo=KILL, parent=RUNC),
        a_notice(T + 4, INIT, to=SHIM), a_reap(T + 5, INIT, by=SHIM),
    )  # fmt: skip
    assert process(report, 102).cause is Cause.PIDNS_TEARDOWN
    assert codes(report) == []


def test_runtime_kill_is_told_from_anybodys() -> None:
    by_runc = report_of(a_signal(T, INIT, KILL), *init_end(T + 1, signo=KILL))
    assert process(by_runc, INIT).cause is Cause.RUNTIME_KILL
    assert (the_stop(by_runc).trigger, the_stop(by_runc).grace_ns) == ("sigkill", None)
    by_bash = report_of(a_signal(T, INIT, KILL, BASH), *init_end(T + 1, signo=KILL))
    assert process(by_bash, INIT).cause is Cause.KILL
    inside = a_signal(T, 102, KILL, actor=an_actor(101, comm="runc"))
    called_runc = report_of(a_seed(101), a_seed(102), inside, an_exit(T + 1, 102, signo=KILL))
    assert process(called_runc, 102).cause is Cause.KILL


def test_sigkill_after_the_stop_signal_is_the_grace_whoever_sends_it() -> None:
    for kill in (
        a_signal(T + 9, INIT, KILL, BASH),
        a_signal(T + 9, INIT, KILL, BASH, info=SignalInfo.NONE, si_code=None, si_pid=None),
    ):
        report = report_of(a_signal(T), kill, *init_end(T + 10, signo=KILL))
        assert process(report, INIT).cause is Cause.GRACE_EXPIRED
        assert the_stop(report).escalated
        assert codes(report) == ["ZT103"]


def test_oom_of_init_during_the_grace_is_no_escalation() -> None:
    report = report_of(
        a_seed(101), a_signal(T), a_kernel_kill(T + 1, INIT, 101), an_oom_mark(T + 1.01, INIT, 101),
        *init_end(T + 2, signo=KILL),
    )  # fmt: skip
    assert process(report, INIT).cause is Cause.OOM
    assert (the_stop(report).escalated, the_stop(report).trigger) == (False, "stop_signal")
    assert codes(report) == ["ZT104"]


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
    assert "61.0 s after a stop signal that it had survived" in finding(report, "ZT106").detail


def test_second_stop_signal_gives_another_60_s() -> None:
    report = report_of(
        a_signal(T), a_signal(T + 50_000), a_signal(T + 65_000, INIT, KILL),
        *init_end(T + 65_001, signo=KILL),
    )  # fmt: skip
    assert (the_stop(report).escalated, the_stop(report).grace_ns) == (True, 65_000 * MS)


def test_survived_stop_is_told_without_another_event() -> None:
    stop = the_stop(report_of(a_signal(T), until=T + 61_000))
    assert (stop.outcome, stop.end_boot_ns) == (StopOutcome.SURVIVED, (T + 60_000) * MS)


def test_stop_in_progress_has_no_outcome() -> None:
    stop = the_stop(report_of(a_seed(101), a_signal(T), until=T + 500))
    assert (stop.outcome, stop.duration_ns, stop.survived) == (None, None, 1)


def test_stopped_init_is_said_to_have_been_stopped() -> None:
    report = report_of(
        a_signal(T - 9, INIT, 19, BASH, **DEFAULT), a_signal(T), a_signal(T + 9, INIT, KILL),
        *init_end(T + 10, signo=KILL),
    )  # fmt: skip
    assert "it was stopped (SIGSTOP)" in finding(report, "ZT103").detail


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
    assert held.title == "the end of web was not over after 5.0 s"
    assert "bash (host pid 70) outside, which must reap it, had not" in held.detail


def test_container_in_the_hosts_namespace_is_told_by_cgroup_and_what_it_forks() -> None:
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
    # 103 goes by itself at that very moment: a parent that ignores SIGCHLD is not told.
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


def test_lost_signals_make_a_runtimes_kill_unknown() -> None:
    lost = LossEvent((T + 50) * MS, {"signal": 1}, (T - 50) * MS)
    report = report_of(a_signal(T, INIT, KILL), *init_end(T + 1, signo=KILL), lost)
    assert process(report, INIT).cause is Cause.UNKNOWN
    assert (the_stop(report).complete, report.complete) == (False, False)
    assert "app (PID 1) was killed, why is not known" in report.headline
    assert codes(report) == ["ZT901"]


def test_loss_of_another_time_leaves_it_alone() -> None:
    lost = LossEvent((T + 90_000) * MS, {"signal": 1}, (T + 80_000) * MS)
    report = report_of(a_signal(T, INIT, KILL), *init_end(T + 1, signo=KILL), lost)
    assert process(report, INIT).cause is Cause.RUNTIME_KILL
    assert (process(report, INIT).complete, the_stop(report).complete) == (True, True)
    assert finding(report, "ZT106").complete
    assert not report.complete


def test_init_killed_before_it_ran_its_program() -> None:
    comm = "runc:[2:INIT]"
    report = report_of(
        a_signal(T, INIT, KILL, subject={"comm": comm}),
        an_exit(T + 1, INIT, signo=KILL, parent=SHIM, comm=comm),
    )
    assert "which had not started its program yet" in report.headline


def test_engine_says_who_asked() -> None:
    words = {"container_id": WEB.id, "action": "kill", "signal": "SIGTERM", "exit_code": None}
    said = ObservationEvent((T - 1) * MS, "docker", None, words)
    report = report_of(said, a_signal(T))
    assert report.timeline[0].text == "docker says: web: kill, SIGTERM"


def test_status_of_a_lost_exit_comes_with_the_release() -> None:
    reap = replace(a_reap(T), status=WaitStatus(7, None, False))
    lost = LossEvent((T + 1) * MS, {"exit": 1}, (T - 1) * MS)
    one = process(report_of(a_seed(101), reap, lost), 101)
    assert (one.exit_code, one.end_boot_ns, one.complete) == (7, None, False)
