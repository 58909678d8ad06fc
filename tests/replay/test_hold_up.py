"""The walk to who held a stop up: each reason, and its nearest look-alike."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.events import (
    BEGIN,
    INIT,
    KILL,
    MS,
    SHIM,
    TERM,
    a_fork,
    a_notice,
    a_process,
    a_reap,
    a_seed,
    a_signal,
    a_teardown_kill,
    an_exit,
    attached,
    codes,
    finding,
    init_end,
    report_of,
    start_of,
)
from tracer.correlate.correlator import Correlator
from tracer.diagnose.held_now import with_holder
from tracer.diagnose.hold_up import holds_of
from tracer.model.claims.claim import Certainty
from tracer.model.claims.hold import Hold, HoldReason
from tracer.model.events import Event, LossEvent, ObservationEvent
from tracer.model.identity import ProcessKey
from tracer.model.signals import Disposition, SignalResult

T = BEGIN + 1000
KILLED = T + 2000
CAUGHT: dict[str, Any] = {"disposition": Disposition.CAUGHT}
BLOCKED: dict[str, Any] = {"disposition": Disposition.BLOCKED}
IGNORED: dict[str, Any] = {"disposition": Disposition.IGNORED}


def a_reading(
    host_pid: int, at: float = T + 1000, *, threads: list[dict[str, Any]] | None = None,
    syscall: str | None = None, start: int | None = None, **values: Any,
) -> ObservationEvent:  # fmt: skip
    """What was read of a member: one thread, asleep in a call."""
    key = ProcessKey(host_pid, start_of(host_pid) if start is None else start)
    thread = {"host_tid": host_pid, "comm": "t", "state": "S", "syscall": syscall}
    return ObservationEvent(int(at * MS), "proc", key, {
        "reading": "member", "state": "S", "signo": TERM, "left": 0,
        "is_waiting": syscall == "wait4", "threads": threads or [thread], **values,
    })  # fmt: skip


def escalation(*events: Event) -> list[Event]:
    """SIGTERM to init, and SIGKILL two seconds later."""
    return [a_signal(KILLED, INIT, KILL), *init_end(KILLED + 1, signo=KILL), *events]


def holds(*events: Event) -> list[Hold]:
    """Who held up the one stop of web."""
    correlator = Correlator()
    stream = [attached(), a_seed(INIT), *escalation(*events)]
    for event in sorted(stream, key=lambda event: event.boot_ns):
        correlator.feed(event)
    (scope,) = [scope for scope in correlator.scopes if scope.init.host_pid == INIT]
    (stop,) = scope.stops
    return list(holds_of(correlator, scope, stop))


def the_hold(*events: Event) -> tuple[int, HoldReason]:
    """Who held it up alone, and why."""
    (hold,) = holds(*events)
    return hold.holder.host_pid, hold.reason


def test_an_init_that_forwards_and_waits_is_held_up_by_the_one_that_ignores_the_signal() -> None:
    events = (
        a_seed(101), a_signal(T, **BLOCKED), a_signal(T + 1, 101, TERM, INIT, **IGNORED),
        a_reading(INIT, syscall="rt_sigtimedwait", exe="tini"), a_reading(101, exe="python3"),
    )  # fmt: skip
    (hold,) = holds(*events)
    assert (hold.holder.host_pid, hold.reason, hold.certainty) == (
        101, HoldReason.IGNORED, Certainty.SEEN,
    )  # fmt: skip
    assert [key.host_pid for key in hold.waiters] == [INIT]
    blame = finding(report_of(*escalation(*events)), "ZT103")
    assert blame.host_pids == (INIT, 101)
    assert "it was sent SIGTERM by app and ignores it" in blame.detail
    assert "A longer grace period does not help: worker ignores SIGTERM" in blame.advice


def test_the_report_has_who_held_a_stop_up() -> None:
    events = (
        a_seed(101), a_signal(T, **BLOCKED), a_signal(T + 1, 101, TERM, INIT, **IGNORED),
        a_reading(INIT, syscall="wait4", exe="tini"), a_reading(101),
    )  # fmt: skip
    (holder,) = report_of(*escalation(*events)).stops[0].holders
    assert (holder.host_pid, holder.reason, holder.why, holder.waiter_host_pids) == (
        101, HoldReason.IGNORED, "ignores SIGTERM", (INIT,),
    )  # fmt: skip
    ended_at_once = report_of(a_signal(T), *init_end(T + 1, code=0))
    assert ended_at_once.stops[0].holders == ()


def test_an_init_that_ignores_the_signal_is_not_held_up_by_its_child() -> None:
    assert the_hold(
        a_seed(101), a_signal(T, **IGNORED), a_reading(INIT, syscall="wait4")
    ) == (INIT, HoldReason.IGNORED)  # fmt: skip


def test_a_shell_whose_trap_waits_for_a_child_that_was_never_signalled() -> None:
    events = (
        a_seed(101), a_signal(T, **CAUGHT),
        a_reading(INIT, syscall="wait4", exe="dash"), a_reading(101, exe="sleep"),
    )  # fmt: skip
    (hold,) = holds(*events)
    assert (hold.holder.host_pid, hold.reason) == (101, HoldReason.NOT_SIGNALLED)
    assert hold.waits_for_shell
    blame = finding(report_of(*escalation(*events)), "ZT103")
    assert "A shell runs its trap only after its foreground child has ended" in blame.detail
    assert "`exec`" in blame.advice
    assert "raise the grace" not in blame.advice


def test_a_handler_that_starts_helpers_again_and_again_goes_on_by_itself() -> None:
    began = [a_fork(T + at, 200 + at, parent=INIT) for at in (100, 300)]
    loop = a_reading(INIT, syscall="wait4", exe="dash")
    assert the_hold(a_signal(T, **CAUGHT), *began, loop) == (INIT, HoldReason.WENT_ON)
    # With one helper it may well be the handler at work.
    assert the_hold(a_signal(T, **CAUGHT), began[0], loop) == (INIT, HoldReason.HANDLING)


def test_who_started_others_since_the_signal_waits_for_those() -> None:
    began = [a_fork(T + at, 200 + at, parent=INIT) for at in (100, 300)]
    loop = a_reading(INIT, syscall="wait4", exe="dash")
    events: tuple[Event, ...] = (a_seed(101), a_signal(T, **CAUGHT), *began, loop)
    assert the_hold(*events) == (INIT, HoldReason.WENT_ON)
    # It had passed the signal on: that one is waited for, too.
    told = a_signal(T + 1, 101, TERM, INIT, **CAUGHT)
    assert the_hold(*events, told) == (101, HoldReason.HANDLING)


@pytest.mark.parametrize(("waits", "held_by"), [("wait4", 101), ("read", INIT)])
def test_only_who_waits_for_a_child_is_held_up_by_it(waits: str, held_by: int) -> None:
    (hold,) = holds(a_seed(101), a_signal(T, **CAUGHT), a_reading(INIT, syscall=waits))
    assert hold.holder.host_pid == held_by


@pytest.mark.parametrize(("is_pending", "reason"), [
    (True, HoldReason.BLOCKED), (False, HoldReason.HANDLING),
])  # fmt: skip
def test_a_blocked_signal_that_is_pending_was_not_taken(
    is_pending: bool, reason: HoldReason
) -> None:
    reading = a_reading(INIT, is_pending=is_pending, is_blocked=True)
    assert the_hold(a_signal(T, **BLOCKED), reading) == (INIT, reason)


def test_what_was_not_read_is_not_guessed() -> None:
    (hold,) = holds(a_signal(T, **BLOCKED))
    assert (hold.reason, hold.certainty) == (HoldReason.UNKNOWN, Certainty.UNKNOWN)
    assert hold.needs
    blame = finding(report_of(*escalation(a_signal(T, **BLOCKED))), "ZT103")
    assert "had not exited is unknown" in blame.detail


def test_where_signals_were_lost_nothing_is_said_not_to_have_been_sent() -> None:
    events = (a_seed(101), a_signal(T, **CAUGHT), a_reading(INIT, syscall="wait4"))
    assert the_hold(*events) == (101, HoldReason.NOT_SIGNALLED)
    lost = LossEvent(int((T + 500) * MS), {"signal": 1}, int((T + 400) * MS))
    assert the_hold(*events, lost) == (101, HoldReason.UNKNOWN)


D_THREAD = {"host_tid": 777, "comm": "io", "state": "D", "syscall": "openat", "wchan": "down_read"}


@pytest.mark.parametrize(("thread", "values", "reason"), [
    (D_THREAD, {}, HoldReason.UNINTERRUPTIBLE),
    (D_THREAD | {"is_killed": True}, {"state": "Z"}, HoldReason.DYING),
    (D_THREAD | {"state": "S"}, {"is_frozen": True}, HoldReason.FROZEN),
    (D_THREAD | {"is_killed": True}, {"is_frozen": True, "freezer": "v1"}, HoldReason.FROZEN),
    (D_THREAD | {"is_killed": True}, {"is_frozen": True, "freezer": "v2"}, HoldReason.DYING),
    (D_THREAD | {"state": "S"}, {"state": "t", "tracer": {"comm": "gdb"}}, HoldReason.TRACED),
    (D_THREAD | {"state": "S"}, {"state": "T"}, HoldReason.STOPPED),
    (D_THREAD | {"state": "S"}, {}, HoldReason.HANDLING),
])  # fmt: skip
def test_who_cannot_run(thread: dict[str, Any], values: dict[str, Any], reason: HoldReason) -> None:
    reading = a_reading(INIT, threads=[thread], **values)
    (hold,) = holds(a_signal(T, **CAUGHT), reading)
    assert hold.reason is reason
    if thread["state"] == "D" and reason is not HoldReason.FROZEN:
        assert hold.thread is not None
        assert (hold.thread.host_tid, hold.thread.wchan) == (777, "down_read")


UNHANDLED: dict[str, Any] = {
    "result": SignalResult.IGNORED, "disposition": Disposition.DEFAULT
}  # fmt: skip
FROZEN: dict[str, Any] = {"is_frozen": True, "freezer": "v2"}
DYING: dict[str, Any] = {"threads": [D_THREAD | {"is_killed": True}]}


@pytest.mark.parametrize(("sent", "values", "reason"), [
    (IGNORED, FROZEN, HoldReason.IGNORED),
    (IGNORED, {"state": "T"}, HoldReason.IGNORED),
    (UNHANDLED, FROZEN, HoldReason.DROPPED),
    (IGNORED, DYING, HoldReason.DYING),
    (CAUGHT, FROZEN, HoldReason.FROZEN),
])  # fmt: skip
def test_who_is_paused_and_would_not_have_heeded_the_signal_is_not_to_be_resumed(
    sent: dict[str, Any], values: dict[str, Any], reason: HoldReason
) -> None:
    events = (a_signal(T, **sent), a_reading(INIT, **values))
    assert the_hold(*events) == (INIT, reason)
    advice = finding(report_of(*escalation(*events)), "ZT103").advice
    assert ("Resume" in advice) is (reason is HoldReason.FROZEN)


def test_a_reading_from_before_the_stop_says_nothing_of_it() -> None:
    early = a_reading(INIT, T - 10, threads=[D_THREAD])
    assert the_hold(a_signal(T, **CAUGHT), early) == (INIT, HoldReason.HANDLING)


def test_headway_is_children_that_left_after_the_signal() -> None:
    left: list[Event] = [a_seed(101), an_exit(T + 500), a_notice(T + 501), a_reap(T + 502)]
    (hold,) = holds(*left, a_signal(T, **CAUGHT), a_reading(INIT))
    assert hold.is_making_headway
    assert (
        "raise the grace"
        in finding(
            report_of(*escalation(*left, a_signal(T, **CAUGHT), a_reading(INIT))), "ZT103"
        ).advice
    )
    (hold,) = holds(a_seed(101), a_signal(T, **CAUGHT), a_reading(INIT))
    assert not hold.is_making_headway


def test_a_stop_that_was_over_at_once_was_not_held_up() -> None:
    correlator = Correlator()
    events: list[Event] = [attached(), a_seed(INIT), a_signal(T, **CAUGHT), *init_end(T + 5)]
    for event in events:
        correlator.feed(event)
    (scope,) = [scope for scope in correlator.scopes if scope.init.host_pid == INIT]
    assert holds_of(correlator, scope, scope.stops[0]) == ()


def test_while_it_hangs_a_line_names_the_holder() -> None:
    correlator = Correlator()
    last = a_reading(INIT, syscall="wait4")
    events: list[Event] = [attached(), a_seed(INIT), a_seed(101), a_signal(T, **CAUGHT)]
    for event in events:
        correlator.feed(event)
    annotated = correlator.feed(last)
    assert annotated is not None
    told = with_holder(correlator, annotated)
    assert told.held_up is not None
    assert "worker (pid 2, host 101) was not sent SIGTERM" in told.held_up
    # The others of the same look say nothing, and neither does one before it hangs.
    for at, left in ((T + 1001, 1), (T + 100, 0)):
        reading = a_reading(INIT, at, syscall="wait4", left=left)
        again = correlator.feed(reading)
        assert again is not None
        assert with_holder(correlator, again).held_up is None


def stopped_while_it_handled(*events: Event, **how: Any) -> list[str]:
    """Init forwards SIGTERM to 101 and ends 3 ms later; 101 goes in the teardown."""
    return codes(report_of(
        a_seed(101), a_signal(T), a_signal(T + 1, 101, TERM, INIT, **(CAUGHT | how)),
        an_exit(T + 4, INIT, parent=SHIM), a_teardown_kill(T + 5), an_exit(T + 6, signo=KILL),
        a_notice(T + 7, INIT, to=SHIM), a_reap(T + 8, INIT, by=SHIM), *events,
    ))  # fmt: skip


def test_who_was_signalled_and_still_handled_it_was_not_waited_for() -> None:
    assert stopped_while_it_handled() == ["ZT108"]
    assert stopped_while_it_handled(**IGNORED) == []


@pytest.mark.parametrize(("is_ignored", "found"), [(True, []), (False, ["ZT102"])])
def test_a_victim_that_ignores_the_signal_could_not_have_used_it(
    is_ignored: bool, found: list[str]
) -> None:
    report = report_of(
        a_seed(101), a_reading(101, T - 100, is_ignored=is_ignored), a_signal(T),
        an_exit(T + 4, INIT, parent=SHIM), a_teardown_kill(T + 5), an_exit(T + 6, signo=KILL),
        a_notice(T + 7, INIT, to=SHIM), a_reap(T + 8, INIT, by=SHIM),
    )  # fmt: skip
    assert codes(report) == found


@pytest.mark.parametrize(("born", "found"), [(T + 2, []), (T - 2, ["ZT102"])])
def test_who_was_born_after_the_stop_began_did_not_have_to_be_signalled(
    born: float, found: list[str]
) -> None:
    start: dict[str, Any] = {"start_boot_ns": int(born * MS) - 1000}
    report = report_of(
        a_fork(born, 101, parent=INIT), a_signal(T), an_exit(T + 4, INIT, parent=SHIM),
        a_teardown_kill(T + 5, subject=start), an_exit(T + 6, signo=KILL, **start),
        a_notice(T + 7, INIT, to=SHIM), a_reap(T + 8, INIT, by=SHIM),
    )  # fmt: skip
    assert codes(report) == found


@pytest.mark.parametrize(("change", "found"), [
    ({}, ["ZT109"]),
    ({"worker": CAUGHT}, []),
    ({"later_ms": 500}, []),
    ({"exe": "dash"}, []),
    ({"worker_exe": "sleep"}, []),
])  # fmt: skip
def test_a_signal_to_the_group_that_cuts_workers_off(
    change: dict[str, Any], found: list[str]
) -> None:
    """Init signals master 101 and its worker 102; the master handles it and reaps."""
    exe = change.get("exe", "python3")
    worker = change.get("worker", {"disposition": Disposition.DEFAULT})
    at = T + 1 + change.get("later_ms", 0)
    report = report_of(
        a_seed(101, process=a_process(101)), a_seed(102, parent=101),
        a_reading(101, T - 100, exe=exe),
        a_reading(102, T - 100, exe=change.get("worker_exe", exe)),
        a_signal(T, **BLOCKED), a_signal(T + 1, 101, TERM, INIT, **CAUGHT),
        a_signal(at, 102, TERM, INIT, subject={"parent": 101}, **worker),
        an_exit(at + 1, 102, signo=TERM, parent=101), a_notice(at + 2, 102, to=101),
        a_reap(at + 3, 102, by=101, parent=101),
        an_exit(at + 10, 101), a_notice(at + 11), a_reap(at + 12), *init_end(at + 13),
    )  # fmt: skip
    assert codes(report) == found


@pytest.mark.parametrize(("signo", "begins"), [(3, True), (2, True), (30, True), (37, True),
                                               (1, False), (10, False)])  # fmt: skip
def test_the_first_signal_of_a_runtime_that_programs_are_stopped_with(
    signo: int, begins: bool
) -> None:
    report = report_of(
        a_signal(T, INIT, signo, **CAUGHT), a_signal(T + 2000, INIT, KILL),
        *init_end(T + 2001, signo=KILL),
    )  # fmt: skip
    (stop,) = report.stops
    assert stop.escalated is begins
    assert (stop.trigger == "stop_signal") is begins


def test_a_thread_dump_is_no_stop_after_all() -> None:
    assert report_of(a_signal(T, INIT, 3, **CAUGHT)).stops == ()
    assert report_of(a_signal(T, INIT, 3, **CAUGHT), until=T + 1000).stops == ()
    report = report_of(
        a_signal(T, INIT, 3, **CAUGHT), a_signal(T + 2000, INIT, TERM, **CAUGHT),
        *init_end(T + 2001),
    )  # fmt: skip
    (stop,) = report.stops
    assert (stop.stop_signal, stop.duration_ns) == ("SIGTERM", 4 * MS)


def cut_off_by_a_shell(sh: dict[str, Any], worker: dict[str, Any]) -> str:
    """The advice where shell 102 between tini and worker 101 ended, and the worker was told."""
    report = report_of(
        a_seed(102, process=a_process(102)), a_seed(101, process=a_process(101, parent=102)),
        a_reading(102, T - 5, exe="dash"), a_signal(T), a_signal(T + 1, 102, TERM, INIT, **sh),
        a_signal(T + 1, 101, TERM, INIT, **worker), an_exit(T + 2, 102, signo=TERM),
        an_exit(T + 4, INIT, parent=SHIM), a_teardown_kill(T + 5), an_exit(T + 6, signo=KILL),
    )  # fmt: skip
    return finding(report, "ZT108").advice


def test_a_shell_without_a_trap_is_not_told_to_wait_in_it() -> None:
    assert "`exec`" in cut_off_by_a_shell({"disposition": Disposition.DEFAULT}, CAUGHT)
    assert "the trap interrupts" in cut_off_by_a_shell(CAUGHT, CAUGHT)


@pytest.mark.parametrize(("group", "is_caught", "advised"), [
    (INIT, False, True), (INIT, True, False), (101, False, False),
])  # fmt: skip
def test_the_whole_group_is_advised_where_it_has_those_in_it_and_they_end_at_once(
    group: int, is_caught: bool, advised: bool
) -> None:
    report = report_of(
        a_seed(102, process=a_process(102)), a_seed(101, process=a_process(101, parent=102)),
        a_reading(INIT, T - 5, process_group=INIT),
        a_reading(102, T - 5, exe="dash", process_group=group),
        a_reading(101, T - 5, process_group=group, is_caught=is_caught),
        a_signal(T), a_signal(T + 1, 102, TERM, INIT, disposition=Disposition.DEFAULT),
        an_exit(T + 2, 102, signo=TERM), an_exit(T + 4, INIT, parent=SHIM),
        a_teardown_kill(T + 5), an_exit(T + 6, signo=KILL),
    )  # fmt: skip
    assert ("`tini -g`" in finding(report, "ZT102").advice) is advised
