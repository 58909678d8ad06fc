"""What became of a stop signal: handled, dropped, forwarded or not, and who is to blame."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.events import (
    BASH,
    BEGIN,
    INIT,
    KILL,
    MS,
    RUNC,
    SHIM,
    TERM,
    a_fork,
    a_free,
    a_notice,
    a_process,
    a_reap,
    a_seed,
    a_signal,
    a_teardown_kill,
    an_exit,
    codes,
    finding,
    init_end,
    process,
    report_of,
    the_stop,
)
from tracer.model.events import SignalInfo
from tracer.model.signals import Disposition, SignalResult
from tracer.model.verdicts import Cause, StopSignalDisposition

T = BEGIN + 1000
DROPPED: dict[str, Any] = {
    "result": SignalResult.IGNORED, "disposition": Disposition.DEFAULT
}  # fmt: skip
DEFAULT: dict[str, Any] = {"disposition": Disposition.DEFAULT}


def test_dropped_stop_signal_and_sigkill_after_the_grace() -> None:
    report = report_of(
        a_signal(T, **DROPPED), a_signal(T + 10_000, INIT, KILL),
        *init_end(T + 10_001, signo=KILL),
    )  # fmt: skip
    assert codes(report) == ["ZT101", "ZT103"]
    assert process(report, INIT).cause is Cause.GRACE_EXPIRED
    assert report.headline == (
        "web was stopped in 10.0 s: app (PID 1) has no SIGTERM handler, so the kernel dropped it,"
        " and runc sent SIGKILL 10.0 s later; it was the only process."
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
    assert blame.title == "PID 1 of web did not forward SIGTERM"
    assert blame.detail == (
        "app (pid 1, host 100) received SIGTERM, did not forward it to worker, and 1 ms later"
        " exited with code 0. The kernel then killed the remaining processes of the namespace with"
        " SIGKILL: 1 process had no chance to shut down cleanly."
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


@pytest.mark.parametrize(("signo", "found"), [(3, ["ZT108"]), (28, [])])
def test_translated_signal_was_forwarded(signo: int, found: list[str]) -> None:
    report = report_of(
        a_seed(101), a_signal(T), a_signal(T + 1, 101, signo, INIT),
        an_exit(T + 2, INIT, parent=SHIM), a_teardown_kill(T + 3), an_exit(T + 4, signo=KILL),
        a_notice(T + 5, INIT, to=SHIM), a_reap(T + 6, INIT, by=SHIM),
    )  # fmt: skip
    # One that handles SIGQUIT was not waited for; SIGWINCH need not have asked it to end.
    assert codes(report) == found


@pytest.mark.parametrize(("cut_off", "found"), [(True, ["ZT108"]), (False, ["ZT102"])])
def test_one_below_a_supervisor_that_was_cut_off_is_not_counted_twice(
    cut_off: bool, found: list[str]
) -> None:
    """runsvdir: HUP in, TERM to each runsv, and out before that can tell its service."""
    told = [a_signal(T + 1, 101, 3, INIT)] if cut_off else []
    report = report_of(
        a_seed(101), a_seed(102, process=a_process(102, parent=101)), a_signal(T), *told,
        an_exit(T + 2, INIT, parent=SHIM), a_teardown_kill(T + 3), a_teardown_kill(T + 3.1, 102),
        an_exit(T + 4, signo=KILL), an_exit(T + 5, 102, signo=KILL),
        a_notice(T + 6, INIT, to=SHIM), a_reap(T + 7, INIT, by=SHIM),
    )  # fmt: skip
    assert codes(report) == found


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


def test_killed_docker_exec_is_not_for_init_to_forward() -> None:
    start = {"start_boot_ns": a_process(102).start_boot_ns}
    report = report_of(
        a_fork(T - 9, 102, parent=RUNC, **start), a_signal(T), an_exit(T + 1, INIT, parent=SHIM),
        a_teardown_kill(T + 2, 102), an_exit(T + 3, 102, signo=KILL, parent=RUNC),
        a_notice(T + 4, INIT, to=SHIM), a_reap(T + 5, INIT, by=SHIM),
    )  # fmt: skip
    assert process(report, 102).cause is Cause.PIDNS_TEARDOWN
    assert codes(report) == []


def test_sigkill_after_the_stop_signal_is_the_grace_from_any_sender() -> None:
    for kill in (
        a_signal(T + 9, INIT, KILL, BASH),
        a_signal(T + 9, INIT, KILL, BASH, info=SignalInfo.NONE, si_code=None, si_pid=None),
    ):
        report = report_of(a_signal(T), kill, *init_end(T + 10, signo=KILL))
        assert process(report, INIT).cause is Cause.GRACE_EXPIRED
        assert the_stop(report).escalated
        assert codes(report) == ["ZT103"]


def test_stopped_init_is_said_to_have_been_stopped() -> None:
    report = report_of(
        a_signal(T - 9, INIT, 19, BASH, **DEFAULT), a_signal(T), a_signal(T + 9, INIT, KILL),
        *init_end(T + 10, signo=KILL),
    )  # fmt: skip
    assert "it was stopped (SIGSTOP)" in finding(report, "ZT103").detail
