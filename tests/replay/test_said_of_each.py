"""What one line says of several is so of each; names and shares are those of that time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.events import (
    BEGIN,
    INIT,
    KILL,
    MS,
    WEB,
    a_kernel_kill,
    a_process,
    a_seed,
    a_signal,
    a_zombie_seed,
    an_exit,
    an_oom_mark,
    correlate,
    finding,
    process,
    report_of,
)
from tracer.model.events import AttachedEvent, Event, ObservationEvent
from tracer.model.report import Report
from tracer.model.target import KernelFilter, Target

T = BEGIN + 1000


def an_oom_death(at: float, host_pid: int, by: int, cgroup_id: int) -> list[Event]:
    cgroup: dict[str, Any] = {"cgroup_id": cgroup_id}
    return [
        a_seed(host_pid, process=a_process(host_pid, parent=INIT, **cgroup)),
        a_kernel_kill(at, host_pid, by, subject=cgroup),
        an_oom_mark(at + 0.1, host_pid, by, **cgroup),
        an_exit(at + 1, host_pid, signo=KILL, **cgroup),
    ]


def the_ooms(report: Report) -> list[tuple[tuple[int, ...], str]]:
    return [(one.host_pids, one.detail) for one in report.findings if one.code == "ZT104"]


def test_oom_kills_of_two_cgroups_are_two_findings() -> None:
    target = Target("the whole host", KernelFilter(everything=True), ())
    whole_host = AttachedEvent(BEGIN * MS, 0, "6.18", "x86_64", "bpf", (), target)
    events = [*an_oom_death(T, 101, 101, 7001), *an_oom_death(T + 10, 102, 102, 7002)]
    first, second = the_ooms(correlate([whole_host, a_seed(INIT), *events], T + 100))
    assert (first[0], second[0]) == ((101,), (102,))


def test_who_asked_for_memory_is_said_of_all_that_died_for_it() -> None:
    alike = [*an_oom_death(T, 101, 101, 7001), *an_oom_death(T + 10, 102, 102, 7001)]
    ((pids, detail),) = the_ooms(report_of(*alike))
    assert pids == (101, 102)
    assert detail.startswith("Each victim requested memory")
    other = [*an_oom_death(T, 101, 102, 7001), *an_oom_death(T + 10, 102, 103, 7001)]
    ((pids, detail),) = the_ooms(report_of(*other))
    assert detail.startswith("2 processes requested memory")


def test_deaths_by_two_senders_of_one_name_are_distinguished() -> None:
    events: list[Event] = []
    for victim, by in ((101, 201), (102, 202)):
        events += [
            a_seed(victim), a_signal(T + victim, victim, KILL, by=by),
            an_exit(T + victim + 1, victim, signo=KILL),
        ]  # fmt: skip
    report = report_of(*events)
    assert [entry.text.startswith("worker (") for entry in report.timeline] == [True, True]
    assert sorted(one.host_pids for one in report.findings) == [(101,), (102,)]


def test_deaths_that_lie_apart_are_not_reported_as_of_one_moment() -> None:
    events: list[Event] = []
    for victim, at in ((101, T), (102, T + 30_000)):
        events += [
            a_seed(victim), a_signal(at, victim, KILL), an_exit(at + 1, victim, signo=KILL),
        ]  # fmt: skip
    (entry,) = report_of(*events).timeline
    assert entry.text.endswith(", within 30.0 s")


def test_zombies_of_before_the_trace_fill_the_limit_too() -> None:
    # The first reading is of a moment before the processes are listed.
    level = {"path": "/sys/fs/cgroup/pids/web", "current": 9, "limit": 10, "refused": 0}
    values = {"controller": "pids", "container_id": WEB.id, "levels": [level]}
    reading = ObservationEvent(BEGIN * MS + 1, "cgroup", None, values)
    zombies = [a_zombie_seed(pid) for pid in range(101, 109)]
    near = finding(report_of(reading, *zombies, until=BEGIN + 10), "ZT301")
    assert "8 zombies made up 89% of them" in near.detail


def test_who_enters_a_traced_cgroup_is_not_seen_late() -> None:
    target = Target("batch", KernelFilter(cgroup_ids=frozenset({7001})), ())
    by_cgroup = AttachedEvent(BEGIN * MS, 0, "6.18", "x86_64", "bpf", (), target)
    entered: dict[str, Any] = {
        "start_boot_ns": T * MS, "pidns_inum": 4026531836, "pidns_level": 0,
        "init_start_boot_ns": 1, "cgroup_id": 7001, "is_init": False,
    }  # fmt: skip
    assert correlate([by_cgroup, an_exit(T + 10, 101, **entered)], T + 100).complete


def test_a_process_is_known_by_its_newest_name() -> None:
    name = ObservationEvent(
        (T + 5000) * MS, "proc", a_process(101).key, {"reading": "name", "comm": "renamed"}
    )
    assert process(report_of(a_seed(101), name), 101).comm == "renamed"


@pytest.mark.parametrize(("outer", "title"), [
    (None, "web reached its limit of 20 pids"), (500, "web reached a limit of its pids"),
])  # fmt: skip
def test_a_limit_that_was_full_between_two_readings_was_reached(
    outer: int | None, title: str
) -> None:
    events = [
        ObservationEvent(at * MS, "cgroup", None, {
            "controller": "pids", "container_id": WEB.id, "levels": [
                {"path": "/p/web", "current": 2, "limit": 20, "refused": refused},
                {"path": "/p", "current": 2, "limit": outer, "refused": refused},
            ],
        })
        for at, refused in ((BEGIN, 0), (BEGIN + 5, 1))
    ]  # fmt: skip
    report = report_of(*events, until=BEGIN + 10)
    near = finding(report, "ZT301")
    assert near.title == title
    assert "was no more than 2 of pids.max 20 (10%)" in near.detail
    assert "The limit was reached: 1 fork refused." in near.detail
    assert "At its peak" not in finding(report, "ZT302").detail
