"""Whom `why` counts to a stop: those that were there, of its namespace and of nested ones."""

from __future__ import annotations

from dataclasses import replace

from tests.support.reports import BEGIN_NS, INIT_PID, SECOND, a_process, a_report, a_stop, an_init
from tracer.diagnose.why.evidence import members_of

STOP_NS = BEGIN_NS + 2 * SECOND
OUTER = a_stop()
NESTED = replace(OUTER, outer_stop=0, pidns_inum=1, init_host_pid=5000)
DEEPER = replace(OUTER, outer_stop=1, pidns_inum=2, init_host_pid=6000)
ANOTHER = replace(OUTER, pidns_inum=3, init_host_pid=7000, container_name="db")
REPORT = a_report(
    stops=(OUTER, NESTED, DEEPER, ANOTHER),
    processes=(
        an_init(stop=0),
        a_process(4712, stop=0),
        a_process(4713, stop=0, end_boot_ns=STOP_NS),
        a_process(4714, stop=0, end_boot_ns=STOP_NS - 1),
        a_process(4715, stop=0, end_boot_ns=None),
        a_process(5000, stop=1),
        a_process(6000, stop=2),
        a_process(7001, stop=3),
        a_process(8000, stop=None, pidns_inum=4),
    ),
)


def members(number: int) -> list[int]:
    return [one.host_pid for one in members_of(REPORT, REPORT.stops[number])]


def test_who_was_there_when_it_began_is_a_member_and_init_is_not() -> None:
    assert INIT_PID not in members(0)
    assert members(0)[:3] == [4712, 4713, 4715]


def test_members_of_nested_namespaces_that_stopped_with_it_are_its_own() -> None:
    assert members(0)[3:] == [5000, 6000]
    assert members(1) == [6000]


def test_another_stop_has_its_own_members() -> None:
    assert members(3) == [7001]
