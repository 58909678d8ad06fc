"""When observers look: while somebody may come to matter, and never for nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.unit.event_samples import a_snapshot
from tests.unit.report_samples import BEGIN_NS, WEB
from tracer.correlate.correlator import Correlator, CorrelatorOptions
from tracer.kernel.task_table import TaskTable
from tracer.model.events import ExitEvent, Precision, ReapEvent, SigchldAction
from tracer.model.target import KernelFilter, Target
from tracer.model.wait_status import WaitStatus
from tracer.session import host_evidence
from tracer.session.cgroup_evidence import CgroupEvidence
from tracer.session.host_evidence import HostEvidence
from tracer.session.observer import Observer, Rounds
from tracer.session.proc_evidence import ProcEvidence
from tracer.wire.layout import RECORD


class Asker:
    """Wants to look as often as it is told to."""

    def __init__(self, period_s: float | None) -> None:
        self.period_s = period_s

    def begin(self, *_: Any) -> Iterator[Any]:
        yield from ()

    def listeners(self) -> dict[type, Any]:
        return {}

    def peek(self, records: Any) -> Iterator[Any]:
        yield from ()

    def look(self) -> Iterator[Any]:
        yield from ()

    def finish(self) -> Iterator[Any]:
        yield from ()


def test_where_nobody_wants_to_look_nobody_is_woken() -> None:
    rounds = Rounds([Asker(None), Asker(None)])
    assert rounds.seconds_left() is None
    assert rounds.take_due() == []


def test_the_soonest_look_is_waited_for_and_each_is_due_once() -> None:
    now, later = Asker(0.0), Asker(1000.0)
    rounds = Rounds([later, now])
    assert rounds.seconds_left() == 0.0
    assert rounds.take_due() == [now]
    now.period_s = None
    left = rounds.seconds_left()
    assert left is not None
    assert 900 < left <= 1000
    assert rounds.take_due() == []


def test_whose_period_becomes_short_is_due_by_its_last_look() -> None:
    asker = Asker(1000.0)
    rounds = Rounds([asker])
    began_s = time.monotonic()
    while time.monotonic() == began_s:
        pass
    asker.period_s = time.monotonic() - began_s
    assert rounds.take_due() == [asker]


TARGET = Target("web", KernelFilter(pidns_inums=frozenset({WEB.pidns_inum})), (WEB,))


def an_exit(host_pid: int) -> ExitEvent:
    return ExitEvent(
        boot_ns=BEGIN_NS,
        process=a_snapshot(host_pid),
        status=WaitStatus.from_raw(0),
        live_threads=0,
        exit_signo=17,
        parent_sigchld=SigchldAction.DEFAULT,
        parent_nocldwait=False,
        tracer_host_pid=None,
    )


def a_reap(host_pid: int) -> ReapEvent:
    return ReapEvent(BEGIN_NS, a_snapshot(host_pid), None, Precision.UPPER_BOUND)


def tell(observer: ProcEvidence, event: ExitEvent | ReapEvent) -> None:
    assert list(observer.listeners()[type(event)](event)) == []


def period_of(observer: Observer) -> float | None:
    return observer.period_s


def test_proc_is_read_only_while_somebody_is_dead_and_unread() -> None:
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


def test_the_hosts_table_is_told_once_it_is_half_full(monkeypatch: pytest.MonkeyPatch) -> None:
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
