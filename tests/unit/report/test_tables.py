"""What `zomtrace zombies` and `zomtrace doctor` print."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.support.reports import UTC_OFFSET_NS
from tests.support.scans import (
    NO_KPROBES,
    a_doctor,
    a_parent,
    a_scan,
    a_scanned,
    every_blame,
    hostile_scan,
)
from tracer.model.doctor import CheckState, DoctorCheck
from tracer.model.zombie_scan import (
    ZombieBlame,
    ZombieScan,
)
from tracer.report.doctor_table import doctor_page, doctor_to_json
from tracer.report.escape import cell_width
from tracer.report.jsonobject import dump_object
from tracer.report.zombies_table import group_scanned, zombies_page, zombies_to_json

# Zombies.


def test_no_zombie_is_one_line() -> None:
    assert zombies_page(a_scan()).plain() == "No zombies among 1204 processes.\n"


def test_zombies_golden(check_golden: Callable[[str, str], None]) -> None:
    check_golden("zombies.txt", zombies_page(every_blame()).plain())


@pytest.mark.parametrize("scan", [every_blame(), hostile_scan()])
@pytest.mark.parametrize("width", [60, 80])
def test_zombies_fit_and_are_printable(scan: ZombieScan, width: int) -> None:
    for line in zombies_page(scan, width=width).plain().splitlines():
        assert line.isprintable()
        assert cell_width(line) <= width


def test_zombies_of_one_fault_are_one_block() -> None:
    groups = group_scanned(every_blame().zombies)

    assert [len(group) for group in groups] == [997, 1, 1, 1, 1, 1]


def test_two_leaders_are_two_blocks_as_their_threads_differ() -> None:
    leaders = (
        a_scanned(5000, blame=ZombieBlame.LEADER),
        a_scanned(5001, blame=ZombieBlame.LEADER),
    )

    assert len(group_scanned(leaders)) == 2


def test_a_command_line_keeps_to_a_few_lines() -> None:
    zombie = a_scanned(5000, parent=a_parent(cmdline=("java", "-cp", "x" * 100_000)))

    assert len(zombies_page(a_scan(zombie)).plain()) < 2_000


@pytest.mark.parametrize("scan", [a_scan(), every_blame(), hostile_scan()])
def test_the_json_of_zombies_is_one_printable_line(scan: ZombieScan) -> None:
    line = dump_object(zombies_to_json(scan, UTC_OFFSET_NS))

    assert line.isprintable()
    parsed = json.loads(line, parse_constant=pytest.fail)
    assert parsed["schema"] == "zomtrace.zombies/1"
    assert parsed["time"] == "2026-11-22T10:46:48.000000000Z"
    assert [zombie["host_pid"] for zombie in parsed["zombies"]] == [
        zombie.host_pid for zombie in scan.zombies
    ]


def test_the_json_of_a_zombie_names_fault_and_remedy() -> None:
    zombie = zombies_to_json(a_scan(a_scanned(5000)), UTC_OFFSET_NS)["zombies"][0]

    assert (zombie["blame"], zombie["parent_host_pid"], zombie["exit_code"]) == ("init", 4711, 0)
    assert "tini" in zombie["advice"]
    assert zombie["parent"]["syscall"] == "clock_nanosleep"


def test_a_stopped_parent_is_to_go_on_before_anything_else() -> None:
    stopped = a_scanned(5000, parent=a_parent(88, state="T"))

    assert "kill -CONT 88" in zombies_page(a_scan(stopped)).plain()


# The doctor.


def test_doctor_golden(check_golden: Callable[[str, str], None]) -> None:
    check_golden("doctor.txt", doctor_page(a_doctor()).plain())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "can be traced; some times and details have reduced precision"),
        ({"hooks": a_doctor().hooks[:1]}, "with full precision"),
        (
            {"checks": (DoctorCheck("BTF", CheckState.FAIL, "none"),), "hooks": ()},
            "cannot be traced in its current state. Failed checks: BTF.",
        ),
    ],
)
def test_the_verdict_comes_first(changes: dict[str, object], expected: str) -> None:
    assert expected in doctor_page(a_doctor(**changes)).plain().splitlines()[0]


def test_the_json_of_the_doctor_says_why_a_better_hook_is_not_used() -> None:
    parsed = json.loads(dump_object(doctor_to_json(a_doctor())))

    assert (parsed["schema"], parsed["usable"]) == ("zomtrace.doctor/1", True)
    assert parsed["hooks"][1] == {
        "name": "reap",
        "source": None,
        "degrades": "the time of a reap is an upper bound, about 10 to 25 ms late",
        "rejected": [{"source": "kprobe:release_task", "reason": NO_KPROBES}],
    }


def test_of_very_many_zombies_some_of_each_parent_are_listed_and_all_are_counted() -> None:
    parents = [a_parent(host_pid=100 + n) for n in range(90)]
    scan = a_scan(
        *(a_scanned(5000 + n, parent=parents[0]) for n in range(30_000)),
        *(a_scanned(50_000 + n, parent=parents[n % 90]) for n in range(900)),
    )
    line = zombies_to_json(scan, UTC_OFFSET_NS, 500)
    assert len(line["zombies"]) <= 500
    assert {one["parent_host_pid"] for one in line["zombies"]} == {100 + n for n in range(90)}
    assert len(line["zombies"]) + line["folded"]["total"] == 30_900
    assert sum(row["count"] for row in line["folded"]["zombies"]) == line["folded"]["total"]
    assert len(dump_object(line)) < 2_000_000
    assert zombies_page(scan).plain().count("\n") <= 200
    assert zombies_page(scan, width=40).plain().count("\n") <= 200
