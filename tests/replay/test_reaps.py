"""Who released a zombie: with kprobes and without alike, and each look-alike."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.events import (
    BASH,
    BEGIN,
    INIT,
    KILL,
    MS,
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
    a_zombie_seed,
    an_exit,
    attached,
    codes,
    correlate,
    process,
    report_of,
    to_the_dead,
    zombie,
)
from tracer.model.events import Event, LossEvent, Precision, SigchldAction
from tracer.model.verdicts import ReapKind

T = BEGIN + 1000
BOTH = pytest.mark.parametrize("kprobes", [True, False])


def ends(events: list[Event], reap: Event, free: Event, *, kprobes: bool) -> tuple[object, ...]:
    """Kind, reaper and its name of process 101."""
    releases = [reap, free] if kprobes else [free]
    one = process(report_of(a_seed(101), *events, *releases), 101)
    return one.reap_kind, one.reaper_host_pid, one.reaper_comm


@BOTH
def test_parent_in_wait(kprobes: bool) -> None:
    events: list[Event] = [an_exit(T), a_notice(T + 1)]
    assert ends(events, a_reap(T + 2), a_free(T + 20), kprobes=kprobes) == (
        ReapKind.PARENT, INIT, "app",
    )  # fmt: skip


@BOTH
def test_ignored_sigchld_is_not_reported_as_zombie(kprobes: bool) -> None:
    events: list[Event] = [an_exit(T, parent_sigchld=SigchldAction.IGNORED)]
    kind = ends(events, a_reap(T + 1, by=101, exiting=True), a_free(T + 20), kprobes=kprobes)
    assert kind == (ReapKind.AUTO, 101, "worker")
    report = report_of(a_seed(101), *events, a_free(T + 20), min_zombie_ns=0)
    assert (report.zombies, codes(report)) == ((), [])
    assert process(report, 101).zombie_ns == 0


@BOTH
def test_nocldwait_is_auto_though_the_parent_is_notified(kprobes: bool) -> None:
    events: list[Event] = [an_exit(T), a_notice(T + 1, parent_nocldwait=True)]
    reap = a_reap(T + 1.01, by=101, exiting=True)
    assert ends(events, reap, a_free(T + 20), kprobes=kprobes)[0] is ReapKind.AUTO


@BOTH
def test_nocldwait_of_a_parent_that_is_notified_with_another_signal_is_a_wait(
    kprobes: bool,
) -> None:
    events: list[Event] = [
        an_exit(T, exit_signo=10), a_notice(T + 1, parent_nocldwait=True, signo=10)
    ]  # fmt: skip
    assert ends(events, a_reap(T + 2), a_free(T + 20), kprobes=kprobes)[0] is ReapKind.PARENT


@BOTH
def test_orphan_reaped_by_pid_1_is_adopted(kprobes: bool) -> None:
    father = a_process(102)
    child = a_process(103, parent=102)
    events: list[Event] = [
        a_seed(102, process=father), a_seed(103, process=child),
        an_exit(T, 102), a_notice(T + 1, 102), an_exit(T + 2, 103, parent=INIT),
        a_notice(T + 3, 103),
    ]  # fmt: skip
    releases = [a_reap(T + 4, 103)] if kprobes else []
    one = process(report_of(*events, *releases, a_free(T + 25, 103)), 103)
    assert (one.reap_kind, one.reaper_comm) == (ReapKind.ADOPTER, "app")


@BOTH
def test_zombie_passed_to_a_new_parent_that_ignores_sigchld_is_released_by_its_dying_parent(
    kprobes: bool,
) -> None:
    events: list[Event] = [
        a_seed(102), a_seed(103, process=a_process(103, parent=102)),
        an_exit(T, 103, parent=102), a_notice(T + 1, 103, to=102),
        an_exit(T + 500, 102), a_notice(T + 501, 102),
    ]  # fmt: skip
    releases = [a_reap(T + 500.5, 103, by=102, exiting=True)] if kprobes else []
    one = process(report_of(*events, *releases, a_free(T + 520, 103)), 103)
    assert (one.reap_kind, one.reaper_host_pid) == (ReapKind.AUTO, 102)
    assert one.zombie_ns is not None
    assert one.zombie_ns >= 499 * MS


@BOTH
def test_released_in_a_teardown_is_teardown_even_if_auto(kprobes: bool) -> None:
    events: list[Event] = [
        an_exit(T - 1, INIT), a_teardown_kill(T),
        an_exit(T + 1, signo=KILL, parent_sigchld=SigchldAction.IGNORED),
    ]  # fmt: skip
    reap = a_reap(T + 2, by=101, exiting=True)
    assert ends(events, reap, a_free(T + 20), kprobes=kprobes) == (
        ReapKind.TEARDOWN, 101, "worker",
    )  # fmt: skip


@BOTH
def test_zombie_that_an_init_held_as_its_tracer_may_end_with_its_parent(kprobes: bool) -> None:
    # The init hands it on before the teardown; its father dies in it and releases it,
    # as the heir ignores SIGCHLD by then. Its pointer to the father dangles.
    events: list[Event] = [
        a_seed(102), a_seed(103, process=a_process(103, parent=102)),
        an_exit(T, 103, parent=102, tracer=INIT, exit_signo=0), a_notice(T + 1, 103),
        an_exit(T + 30, INIT), a_teardown_kill(T + 31, 102),
        a_teardown_kill(T + 31.1, 103, **to_the_dead()), an_exit(T + 32, 102, signo=KILL),
        a_notice(T + 32.5, 102),
    ]  # fmt: skip
    releases = [a_reap(T + 32.2, 103, by=102, exiting=True)] if kprobes else []
    free = a_free(T + 60, 103, parent=9999, parent_start_boot_ns=1 << 59)
    one = process(report_of(*events, *releases, free), 103)
    assert (one.reap_kind, one.reaper_host_pid) == (ReapKind.TEARDOWN, 102 if kprobes else None)


def test_who_was_notified_last_is_the_reaper_unless_its_own_end_may_be_lost() -> None:
    # 102 may have died and handed 103 on: its exit and its notification of then are lost.
    events: list[Event] = [
        a_seed(102), a_seed(103, process=a_process(103, parent=102)),
        an_exit(T, 103, parent=102), a_notice(T + 1, 103, to=102),
        a_free(T + 60, 103, parent=9999, parent_start_boot_ns=1 << 59),
    ]  # fmt: skip
    assert process(report_of(*events), 103).reaper_host_pid == 102
    lost = LossEvent((T + 30) * MS, {"exit": 1, "signal": 1}, (T + 10) * MS)
    one = process(report_of(*events, lost), 103)
    assert (one.reap_kind, one.reaper_host_pid) == (ReapKind.UNKNOWN, None)


def test_nocldwait_says_nothing_of_a_process_that_may_have_been_traced() -> None:
    # Its exit is lost, and with it who traced it: a tracer's notification looks the same.
    events: list[Event] = [a_seed(101), a_notice(T + 1, parent_nocldwait=True), a_free(T + 20)]
    lost = LossEvent((T + 30) * MS, {"exit": 1}, (T - 10) * MS)
    assert process(report_of(*events, lost), 101).reap_kind is ReapKind.UNKNOWN
    # It was dying as tracing began: it is known who traced it then.
    dying = a_seed(101, live_threads=0)
    assert process(report_of(dying, *events[1:]), 101).reap_kind is ReapKind.AUTO


@pytest.mark.parametrize(
    ("does", "kind"),
    [(SigchldAction.CAUGHT, ReapKind.ADOPTER), (SigchldAction.UNKNOWN, ReapKind.UNKNOWN)],
)
def test_a_tracer_that_is_the_parent_in_the_end_may_have_handed_a_silent_child_on(
    does: SigchldAction, kind: ReapKind
) -> None:
    events: list[Event] = [
        a_seed(102), a_seed(103, process=a_process(103, parent=102)),
        an_exit(T, 103, parent=102, tracer=INIT, exit_signo=0), a_notice(T + 1, 103),
        an_exit(T + 30, 102), a_notice(T + 31, 102),
        a_free(T + 60, 103, parent=INIT, parent_sigchld=does),
    ]  # fmt: skip
    assert process(report_of(*events), 103).reap_kind is kind


@BOTH
def test_no_notification_is_auto_though_a_tracer_was_there_at_the_end(kprobes: bool) -> None:
    # The tracer died before the notification; a parent that ignores SIGCHLD gets none.
    events: list[Event] = [
        a_seed(102), an_exit(T, 101, tracer=102, parent_sigchld=SigchldAction.IGNORED),
        an_exit(T + 1, 102), a_notice(T + 2, 102),
    ]  # fmt: skip
    kind = ends(events, a_reap(T + 3, 101, by=101, exiting=True), a_free(T + 20), kprobes=kprobes)
    assert kind == (ReapKind.AUTO, 101, "worker")


@pytest.mark.parametrize("signo", [17, 0])
@pytest.mark.parametrize(("is_there", "kind"), [(True, ReapKind.PARENT), (False, ReapKind.UNKNOWN)])
def test_a_parent_that_traced_its_child_may_have_let_go_of_it_as_it_died(
    signo: int, is_there: bool, kind: ReapKind
) -> None:
    # __ptrace_detach() releases it where that parent ignores SIGCHLD by then.
    events: list[Event] = [
        a_seed(102), a_seed(103, process=a_process(103, parent=102)),
        an_exit(T, 103, parent=102, tracer=102, exit_signo=signo),
        *([a_notice(T + 1, 103, to=102)] if signo else []),
        a_free(T + 60, 103, parent=102),
    ]  # fmt: skip
    if not is_there:
        events += [an_exit(T + 30, 102), a_notice(T + 31, 102)]
    assert process(report_of(*events), 103).reap_kind is kind


def test_zombie_the_teardown_did_not_signal_had_been_reaped_before() -> None:
    report = report_of(
        a_seed(101), a_seed(102), an_exit(T - 5), a_notice(T - 4), an_exit(T, INIT),
        a_teardown_kill(T + 1, 102), a_free(T + 10),
    )  # fmt: skip
    assert process(report, 101).reap_kind is ReapKind.PARENT


def test_zombie_the_teardown_signals_was_still_there() -> None:
    report = report_of(
        a_seed(101), an_exit(T - 5), a_notice(T - 4), an_exit(T, INIT),
        a_teardown_kill(T + 1, 101, **to_the_dead()), a_free(T + 10),
    )  # fmt: skip
    one = process(report, 101)
    assert (one.reap_kind, one.reaper_comm) == (ReapKind.TEARDOWN, "app")


def test_dangling_parent_pointer_is_not_believed() -> None:
    younger = a_fork(T + 5, 150)
    free = a_free(T + 20, parent_host_pid=150, parent_start_boot_ns=younger.process.start_boot_ns)
    one = process(report_of(a_seed(101), an_exit(T), a_notice(T + 1), younger, free), 101)
    assert (one.reap_kind, one.reaper_host_pid) == (ReapKind.PARENT, INIT)


def test_outside_new_parent_that_was_notified_unseen_reaps_what_it_adopts() -> None:
    # runc exec injected it and died; the shim beyond this nested target was notified unseen.
    inner: dict[str, Any] = {"pidns_level": 2}
    free = a_free(T + 40, parent=SHIM, parent_sigchld=SigchldAction.CAUGHT, **inner)
    report = correlate(
        [attached(), a_seed(INIT, process=a_process(INIT, **inner)),
         a_fork(T - 9, parent=60, start_boot_ns=a_process(101).start_boot_ns, **inner),
         an_exit(T, parent=60, **inner), a_notice(T + 1, to=60), free], T + 100,
    )  # fmt: skip
    one = process(report, 101)
    assert (one.reap_kind, one.reaper_comm) == (ReapKind.ADOPTER, "containerd-shim")


def test_release_reported_twice_is_reported_once() -> None:
    events: list[Event] = [
        a_seed(101), an_exit(T), a_notice(T + 1), a_reap(T + 2), a_free(T + 20)
    ]  # fmt: skip
    one = zombie(report_of(*events, min_zombie_ns=0), 101)
    assert (one.zombie_ns, one.precision) == (1 * MS, Precision.EXACT)


def test_a_notification_in_an_untraced_namespace_says_nothing() -> None:
    # The same inode number, another namespace: number 2 there is not our number 2.
    notified = a_process(INIT, init_start_boot_ns=5, start_boot_ns=5)
    notice = a_notice(T, process=notified, by=BASH, si_pid=2)
    one = process(report_of(a_seed(101), notice), 101)
    assert (one.end, one.zombie_ns) == ("running", None)


def test_zombie_there_before_has_a_lower_bound() -> None:
    one = zombie(report_of(a_zombie_seed(101), until=BEGIN + 5000), 101)
    assert (one.reaped, one.precision) == (False, Precision.LOWER_BOUND)
    assert one.zombie_ns is not None
    assert 4_999 * MS <= one.zombie_ns <= 5_000 * MS


def test_process_on_its_way_out_is_no_zombie_yet() -> None:
    report = report_of(an_exit(T, INIT), min_zombie_ns=0)
    assert report.zombies == ()


def test_exit_before_the_seed_names_it_is_no_late_process() -> None:
    report = correlate([*_attached(), an_exit(BEGIN + 0.00001, 101), a_seed(101)], BEGIN + 1000)
    assert report.complete
    assert process(report, 101).exit_code == 0


def _attached() -> list[Event]:
    return [attached(), a_seed(INIT)]


def test_pid_given_to_another_proves_the_release() -> None:
    report = report_of(
        a_seed(101), an_exit(T), a_notice(T + 1),
        a_fork(T + 10, 101, start_boot_ns=int((T + 10) * MS), ns_pid=9),
        a_free(T + 700), min_zombie_ns=0,
    )  # fmt: skip
    first = next(one for one in report.zombies if one.host_pid == 101)
    assert (first.zombie_ns, first.precision) == (9 * MS, Precision.UPPER_BOUND)


def test_two_namespaces_of_one_inode_number_do_not_merge() -> None:
    later = {"init_start_boot_ns": int((T + 100) * MS), "start_boot_ns": int((T + 100) * MS)}
    report = report_of(
        an_exit(T, INIT), a_notice(T + 1, INIT, to=SHIM), a_free(T + 20, INIT),
        a_fork(T + 100, 200, is_init=True, ns_pid=1, parent=SHIM, **later),
        a_signal(T + 200, 200, TERM, subject={"is_init": True, "ns_pid": 1, **later}),
    )  # fmt: skip
    assert [(stop.init_host_pid, stop.container_id) for stop in report.stops] == [
        (INIT, "3f2a9c1b7d4e"), (200, None),
    ]  # fmt: skip
