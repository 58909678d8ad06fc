"""When observers look: while somebody may come to matter, and never for nothing."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from tests.support.annotated import a_process, a_reap, an_exit
from tests.support.events import a_seed
from tests.support.reports import WEB
from tests.support.require import require
from tracer.correlate.correlator import Correlator, CorrelatorOptions
from tracer.live.observers import cgroup as cgroup_evidence
from tracer.live.observers import host as host_evidence
from tracer.live.observers.cgroup import CgroupEvidence
from tracer.live.observers.host import HostEvidence
from tracer.live.observers.inits import InitEvidence
from tracer.live.observers.observer import Observer, PollSchedule
from tracer.live.observers.proc import ProcEvidence
from tracer.model.annotated import Annotated
from tracer.model.target import KernelFilter, Target
from tracer.procfs.cgroup import controller_directories
from tracer.procfs.cgroup_limits import PidsLevel
from tracer.procfs.process import open_process, read_status
from tracer.procfs.task_table import TaskTable
from tracer.wire.layout import RECORD


class Asker(Observer):
    """Wants to look as often as it is told to."""

    period_s: float | None = None

    def __init__(self, period_s: float | None) -> None:
        super().__init__()
        self.period_s = period_s


class Clock:
    """Monotonic seconds, as a test sets them."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_where_no_one_wants_to_look_no_one_is_woken() -> None:
    rounds = PollSchedule([Asker(None), Asker(None)])
    assert rounds.seconds_left() is None
    assert rounds.take_due() == []


def test_the_soonest_look_is_waited_for_and_each_is_due_once() -> None:
    now, later = Asker(0.0), Asker(1000.0)
    rounds = PollSchedule([later, now])
    assert rounds.seconds_left() == 0.0
    assert rounds.take_due() == [now]
    now.period_s = None
    left = rounds.seconds_left()
    assert left is not None
    assert 900 < left <= 1000
    assert rounds.take_due() == []


def test_whose_period_becomes_short_is_due_by_its_last_look() -> None:
    asker, clock = Asker(1000.0), Clock()
    rounds = PollSchedule([asker], clock)
    clock.now_s += 5
    assert rounds.take_due() == []
    asker.period_s = 5.0
    assert rounds.take_due() == [asker]


TARGET = Target("web", KernelFilter(pidns_inums=frozenset({WEB.pidns_inum})), (WEB,))


def tell(observer: ProcEvidence, told: Annotated) -> None:
    assert list(observer.listeners()[type(told.event)](told.event)) == []


def period_of(observer: Observer) -> float | None:
    return observer.period_s


def test_proc_is_read_only_while_a_dead_process_is_unread() -> None:
    observer = ProcEvidence()
    list(observer.begin(Correlator(CorrelatorOptions()), TARGET))
    assert period_of(observer) is None
    tell(observer, an_exit(4712))
    assert period_of(observer) is not None
    tell(observer, a_reap(4712))
    assert period_of(observer) is None


def test_cgroups_are_read_seldom_while_no_record_comes() -> None:
    observer = CgroupEvidence()
    assert period_of(observer) is None
    list(observer.begin(Correlator(CorrelatorOptions()), TARGET))
    busy_s = period_of(observer)
    list(observer.look())
    idle_s = period_of(observer)
    assert busy_s is not None
    assert idle_s is not None
    assert idle_s >= 10 * busy_s
    list(observer.peek(np.zeros(1, RECORD)))
    assert period_of(observer) == busy_s


@pytest.mark.parametrize("is_reused", [False, True])
def test_cgroups_are_not_those_of_the_process_that_has_inits_pid_now(
    monkeypatch: pytest.MonkeyPatch, is_reused: bool
) -> None:
    read: list[tuple[str, ...]] = []

    def read_pids(levels: tuple[str, ...]) -> list[PidsLevel]:
        read.append(levels)
        return []

    monkeypatch.setattr(cgroup_evidence, "read_pids", read_pids)
    status = read_status(os.getpid())
    raw = open_process(os.getpid())
    assert status is not None
    assert raw is not None
    with raw:
        mounted = controller_directories(raw.read("cgroup") or b"", "pids")
    require("cgroups", bool(mounted), "no pids controller is mounted here")
    start = status.start_boot_ns - (1_000_000_000 if is_reused else 0)
    web = replace(WEB, init_host_pid=os.getpid(), init_start_boot_ns=start)
    observer = CgroupEvidence()
    list(observer.begin(Correlator(CorrelatorOptions()), replace(TARGET, containers=(web,))))
    assert read == [() if is_reused else mounted]


def test_readings_are_dated_by_the_clock_that_was_passed_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(host_evidence, "read_task_table", lambda: TaskTable(9, 10, "pid_max"))
    (reading,) = HostEvidence(lambda: 200).begin(Correlator(CorrelatorOptions()), TARGET)
    assert reading.boot_ns == 200


def test_the_hosts_table_is_reported_once_it_is_half_full(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = iter([499, 500, 500, 620, None])

    def read() -> TaskTable | None:
        number = next(tasks)
        return None if number is None else TaskTable(number, 1000, "kernel.pid_max")

    monkeypatch.setattr(host_evidence, "read_task_table", read)
    observer = HostEvidence()
    assert list(observer.begin(Correlator(CorrelatorOptions()), TARGET)) == []
    busy_s = period_of(observer)
    assert [one.values["tasks"] for one in observer.look()] == [500]
    # Nothing was forked since: nobody is woken to look again.
    assert period_of(observer) is None
    list(observer.peek(np.zeros(1, RECORD)))
    hurried_s = period_of(observer)
    assert busy_s is not None
    assert hurried_s is not None
    assert hurried_s < busy_s
    # The same again is no news.
    assert list(observer.look()) == []
    (last,) = observer.finish()
    assert last.values == {
        "reading": "host", "tasks": 620, "limit": 1000, "limit_name": "kernel.pid_max",
    }  # fmt: skip
    assert list(observer.finish()) == []


def test_an_inits_command_line_does_not_hold_its_event_up() -> None:
    status = read_status(os.getpid())
    assert status is not None
    snapshot = a_process(
        status.host_pid, start_boot_ns=status.start_boot_ns, is_init=True, pidns_level=1
    )
    observer = InitEvidence()
    assert period_of(observer) is None
    told = a_seed(process=snapshot)
    assert list(observer.listeners()[type(told)](told)) == []
    assert period_of(observer) == 0.0
    (reading,) = observer.look()
    assert reading.about == status.key
    assert period_of(observer) is None
