"""Findings about zombies: who leaks them, who reaps late, and a host that is nearly full."""

from __future__ import annotations

from tests.support.events import (
    BASH,
    BEGIN,
    INIT,
    MS,
    a_fork,
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
    report_of,
    zombie,
)
from tracer.model.events import Event, ObservationEvent, Precision
from tracer.model.signals import Disposition
from tracer.model.verdicts import ReapKind, Severity

T = BEGIN + 1000


def test_who_let_it_lie_is_to_blame_and_not_who_reaped_it_at_once() -> None:
    events: list[Event] = [
        a_seed(102), a_seed(103, process=a_process(103, parent=102)),
        an_exit(T, 103, parent=102), a_notice(T + 1, 103, to=102),
        an_exit(T + 5000, 102), a_notice(T + 5001, 103, to=INIT, by=102),
        a_free(T + 5015, 103),
    ]  # fmt: skip
    report = report_of(*events)
    assert (zombie(report, 103).parent_host_pid, zombie(report, 103).reap_kind) == (
        102, ReapKind.ADOPTER,
    )  # fmt: skip
    leak = finding(report, "ZT201")
    assert leak.title == "worker (pid 3, host 102) leaked 1 zombie"
    assert "did not reap it while it was alive" in leak.detail


def test_live_parent_that_never_waits_leaks() -> None:
    events: list[Event] = [an_exit(T), a_notice(T + 1)]
    leak = finding(report_of(a_seed(101), *events), "ZT201")
    assert leak.host_pids == (INIT, 101)
    assert "has no SIGCHLD handler" in leak.detail


def test_orphan_left_by_pid_1() -> None:
    report = report_of(
        a_seed(102), a_seed(103, process=a_process(103, parent=102)),
        an_exit(T, 102), a_notice(T + 1, 102), a_reap(T + 2, 102),
        an_exit(T + 9, 103, parent=INIT), a_notice(T + 10, 103),
    )  # fmt: skip
    assert codes(report) == ["ZT202"]


def test_late_reap() -> None:
    report = report_of(a_seed(101), an_exit(T), a_notice(T + 1), a_reap(T + 3001))
    assert codes(report) == ["ZT204"]


def test_upper_bound_alone_makes_no_late_reap() -> None:
    report = report_of(a_seed(101), an_exit(T), a_notice(T + 1), a_free(T + 1100))
    assert codes(report) == []


def test_zombie_leader_is_reported_with_its_live_threads_and_its_time() -> None:
    report = report_of(
        a_seed(101), an_exit(T, live_threads=3), an_exit(T + 4000), a_notice(T + 4001),
        a_reap(T + 4002),
    )  # fmt: skip
    one = zombie(report, 101)
    assert (one.live_threads, one.zombie_ns, one.precision) == (3, 4000 * MS, Precision.EXACT)
    assert codes(report) == ["ZT203"]


def test_exec_by_another_thread_ends_no_zombie_leader() -> None:
    report = report_of(a_seed(101), an_exit(T, live_threads=1), an_exec(T + 1))
    assert (report.zombies, process(report, 101).end) == ((), "running")


def test_injected_process_no_one_outside_reaps() -> None:
    report = report_of(
        a_fork(T - 9, parent=BASH, start_boot_ns=a_process(101).start_boot_ns),
        an_exit(T, parent=BASH), a_notice(T + 1, to=BASH),
    )  # fmt: skip
    assert codes(report) == ["ZT205"]
    assert zombie(report, 101).injected


def test_orphan_of_an_injected_process_is_the_injections() -> None:
    report = report_of(
        a_fork(T - 9, parent=BASH, start_boot_ns=a_process(101).start_boot_ns),
        a_fork(T - 8, 102, parent=101, start_boot_ns=a_process(102).start_boot_ns),
        an_exit(T, parent=BASH), a_notice(T + 1, to=BASH), a_free(T + 20, parent=BASH),
        an_exit(T + 30, 102, parent=INIT), a_notice(T + 31, 102),
    )  # fmt: skip
    assert codes(report) == ["ZT205"]
    assert (
        finding(report, "ZT205").title == "PID 1 (app) did not reap 1 orphan of injected commands"
    )


def test_late_reap_that_proc_bears_witness_to() -> None:
    seen = ObservationEvent((T + 1050) * MS, "proc", a_process(INIT).key, {
        "reading": "parent", "state": "S", "is_waiting": False, "zombie_host_pids": [101],
    })  # fmt: skip
    report = report_of(a_seed(101), an_exit(T), a_notice(T + 1), seen, a_free(T + 1100))
    assert codes(report) == ["ZT204"]


def a_full_host(at: float, tasks: int, limit: int = 32_767) -> ObservationEvent:
    """A reading of the host's table of tasks."""
    values = {"reading": "host", "tasks": tasks, "limit": limit, "limit_name": "kernel.pid_max"}
    return ObservationEvent(int(at * MS), "proc", None, values)


def test_a_nearly_full_host_names_who_fills_it_at_its_fullest() -> None:
    events: list[Event] = [a_seed(102)]
    for number in range(200, 240):
        events += [
            a_seed(number, process=a_process(number, parent=102)),
            an_exit(T, number, parent=102), a_notice(T + 1, number, to=102),
        ]  # fmt: skip
    # Reaped before it was fullest, and died after.
    events += [a_seed(103), an_exit(T, 103), a_notice(T + 1, 103), a_reap(T + 2, 103)]
    events += [a_seed(104), an_exit(T + 9000, 104), a_notice(T + 9001, 104)]
    readings = [a_full_host(T + 100, 20_000), a_full_host(T + 5000, 31_129)]
    near = finding(report_of(*events, *readings, min_zombie_ns=10**12), "ZT301")
    assert near.title == "the host had 31129 of its 32767 pids in use"
    assert near.detail == (
        "The whole host may have 32767 tasks (kernel.pid_max) and had 31129 (95%). web has no"
        " lower pids limit: the host's limit applies. 40 zombies among the traced processes made"
        " up less than 1% of them, children of worker (pid 3, host 102) (40)."
    )
    assert set(near.host_pids) == set(range(200, 240))


def test_a_host_with_room_is_no_finding() -> None:
    assert codes(report_of(a_full_host(T, 20_000))) == []


def test_who_shuts_down_and_frees_its_zombies_by_its_end_leaks_none() -> None:
    died = an_exit(T + 500), a_notice(T + 501)
    ended = an_exit(T + 2500, INIT), a_teardown_kill(T + 2501), a_reap(T + 2502, by=INIT)
    stopped = a_signal(T, disposition=Disposition.CAUGHT)
    found = finding(report_of(a_seed(101), stopped, *died, *ended), "ZT201")
    assert found.severity is Severity.INFO
    assert "while it shut down" in found.title
    # The same zombie, without a stop signal; and one from before the stop.
    unasked = finding(report_of(a_seed(101), *died, *ended), "ZT201")
    later = a_signal(T + 1000, disposition=Disposition.CAUGHT)
    before = finding(report_of(a_seed(101), later, *died, *ended), "ZT201")
    assert {unasked.severity, before.severity} == {Severity.ERROR}
