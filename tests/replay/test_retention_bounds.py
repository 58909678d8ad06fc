"""Nothing that a trace keeps grows without end, whatever goes on and whatever is lost."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.events import (
    BEGIN,
    INIT,
    KILL,
    MS,
    RUNC,
    WEB,
    a_fork,
    a_reap,
    an_exit,
)
from tests.support.lifetimes import DETAIL, a_death, a_lifetime, as_one, by_end, concluded, fed, who
from tracer.correlate import descent
from tracer.model.events import Event, ObservationEvent
from tracer.model.identity import ProcessKey
from tracer.report.jsonreport import render_report_file


def test_a_process_known_only_by_its_pid_to_be_gone_is_not_kept_for_ever() -> None:
    def lost() -> Iterator[Event]:
        for n in range(3_000):
            start = (BEGIN + 10 + n) * MS
            yield a_fork(BEGIN + 10 + n, 1000 + n % 7, start_boot_ns=start)
            if n % 500 == 0:
                yield from a_lifetime(n, parent=INIT)

    assert len(fed(lost()).table) < 3 * DETAIL


@pytest.mark.parametrize("signo", [None, KILL])
@pytest.mark.parametrize("is_put_in", [False, True])
def test_a_long_line_of_descent_is_not_kept_and_what_it_says_is(
    is_put_in: bool, signo: int | None
) -> None:
    grandparent: dict[str, Any] = {}

    def chain() -> Iterator[Event]:
        # Each forks the next, and exits, or kills itself.
        nonlocal grandparent
        parent: dict[str, Any] = {"parent": RUNC} if is_put_in else {}
        for n in range(12_000):
            at = BEGIN + 10 + n
            pid, what = who(n)
            yield a_fork(at, pid, **what, **parent)
            if n:
                old, what_old = who(n - 1)
                yield an_exit(at + 0.2, old, signo=signo, **what_old, **grandparent)
                yield a_reap(at + 0.3, old, **what_old, **grandparent)
            grandparent = parent
            parent = {"parent": pid, "parent_start_boot_ns": what["start_boot_ns"]}

    correlator = fed(chain())
    assert len(correlator.table) < 5_000
    pid, what = who(11_999)
    last = correlator.table.get(ProcessKey(pid, what["start_boot_ns"]))
    assert last is not None
    (scope,) = last.scopes
    assert descent.is_put_in(last, scope, correlator.table) is is_put_in


def test_readings_that_no_verdict_asks_for_are_dropped() -> None:
    def readings() -> Iterator[Event]:
        for n in range(20_000):
            at_ns = (BEGIN + 10 + n) * MS
            yield ObservationEvent(at_ns, "proc", ProcessKey(5, n), {"cmdline": "kill 1"})
            full = {"current": 100 + n % 50, "limit": 200, "refused": n // 1000}
            values = {"container_id": WEB.id, "controller": "pids",
                      "levels": [{"path": "/pids", **full}]}  # fmt: skip
            yield ObservationEvent(at_ns, "cgroup", None, values)

    correlator = fed(readings())
    assert len(correlator.observations) <= 2_000
    whole = concluded(fed(readings(), detail=None))
    assert [one.code for one in whole.findings] == ["ZT302", "ZT301"]
    assert concluded(correlator).findings == whole.findings


def test_lifetimes_that_come_as_one_record_are_counted_as_those_reported_event_by_event() -> None:
    def lives() -> Iterator[Iterator[Event]]:
        for n in range(5_000):
            yield a_lifetime(n, comm=f"job-{n % 7}", code=n % 3)

    folded = fed(as_one(life) for life in lives())
    plain = fed(event for life in lives() for event in life)
    assert len(folded.table) < 2 * DETAIL
    assert folded.uneventful_exits == plain.uneventful_exits > 4_900
    assert render_report_file(concluded(folded)) == render_report_file(concluded(plain))


def test_memory_is_flat_however_many_processes_a_container_has() -> None:
    correlator = fed((), detail=500)
    blocks = []
    for batch in range(5):
        for n in range(batch * 10_000, (batch + 1) * 10_000):
            life = a_death(n) if n % 10 == 0 else a_lifetime(n, comm=f"job-{n % 1000}")
            for event in life:
                correlator.feed(event)
        # What would be kept of each process is a block at least.
        gc.collect()
        blocks.append(sys.getallocatedblocks())
    assert max(blocks[2:]) - min(blocks[2:]) < 12_000, blocks
    report = concluded(correlator)
    assert sum(by_end(report).values()) == 50_001
    assert len(json.loads(render_report_file(report))["processes"]) < 1_100
