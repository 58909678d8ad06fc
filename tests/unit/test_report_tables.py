"""What `zomtrace zombies` and `zomtrace doctor` print."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.report_samples import BEGIN_NS, HOSTILE_NAMES, MS, SECOND, UTC_OFFSET_NS
from tracer.model.doctor import CheckState, DoctorCheck, DoctorReport, PlannedHook, RejectedHook
from tracer.model.events import HookState, SigchldAction
from tracer.model.wait_status import WaitStatus
from tracer.model.zombie_scan import (
    LiveThread,
    ScannedZombie,
    ZombieBlame,
    ZombieParent,
    ZombieScan,
)
from tracer.report.doctor_table import doctor_page, doctor_to_json
from tracer.report.escape import cell_width
from tracer.report.jsonobject import dump_object
from tracer.report.zombies_table import group_scanned, zombies_page, zombies_to_json

NO_KPROBES = "this kernel has no kprobes (CONFIG_KPROBES, CONFIG_KPROBE_EVENTS)"


def a_parent(host_pid: int = 4711, comm: str = "zombie-proc", **changes: object) -> ZombieParent:
    """A parent that sleeps and waits for nobody."""
    plain = ZombieParent(
        host_pid=host_pid,
        ns_pid=1,
        comm=comm,
        start_boot_ns=BEGIN_NS,
        cmdline=("python3", "/srv/zombie.py", "--children", "997"),
        pidns_inum=4_026_532_201,
        is_ns_init=True,
        state="S",
        sigchld=SigchldAction.DEFAULT,
        threads=1,
        is_waiting=False,
        syscall="clock_nanosleep",
        wchan="hrtimer_nanosleep",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def a_scanned(host_pid: int, comm: str = "worker", **changes: object) -> ScannedZombie:
    """A zombie of container web, left by its init."""
    plain = ScannedZombie(
        host_pid=host_pid,
        ns_pid=host_pid - 4710,
        comm=comm,
        start_boot_ns=BEGIN_NS,
        process_age_ns=3_600 * SECOND,
        zombie_at_least_ns=204 * MS,
        status=WaitStatus(0, None, False),
        pidns_inum=4_026_532_201,
        cgroup_path="/docker/web",
        container_id="3f2a9c1b7d4e" + "0" * 52,
        container_name="web",
        parent=a_parent(),
        tracer_host_pid=None,
        tracer_comm=None,
        live_threads=(),
        blame=ZombieBlame.INIT,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def a_scan(*zombies: ScannedZombie) -> ZombieScan:
    return ZombieScan(boot_ns=BEGIN_NS, processes=1204, zombies=zombies)


def every_blame() -> ZombieScan:
    """One kind of zombie for each way to be one."""
    return a_scan(
        *(
            a_scanned(
                5000 + i,
                status=WaitStatus(None, 9, False) if i % 100 == 0 else WaitStatus(0, None, False),
            )
            for i in range(997)
        ),
        a_scanned(
            6300,
            "java",
            status=None,
            live_threads=tuple(
                LiveThread(6301 + i, f"pool-{i}", "S", "futex", "futex_wait_queue")
                for i in range(8)
            ),
            blame=ZombieBlame.LEADER,
        ),
        a_scanned(
            6400, "traced", tracer_host_pid=77, tracer_comm="strace", blame=ZombieBlame.TRACER
        ),
        a_scanned(
            6500,
            "probe",
            parent=a_parent(4690, "containerd-shim", is_ns_init=False, is_waiting=True),
            blame=ZombieBlame.INJECTED,
        ),
        a_scanned(
            6600,
            "sh",
            container_id=None,
            container_name=None,
            parent=a_parent(
                88,
                "supervisor",
                is_ns_init=False,
                state="T",
                sigchld=SigchldAction.IGNORED,
                cmdline=("supervisor",),
            ),
            blame=ZombieBlame.PARENT,
        ),
        a_scanned(6700, "lost", parent=None, status=None, blame=ZombieBlame.UNKNOWN),
    )


def hostile_scan() -> ZombieScan:
    """Every name there is, made to do harm."""
    return a_scan(
        *(
            a_scanned(
                5000 + number,
                name,
                container_name=name,
                parent=a_parent(100 + number, name, cmdline=(name, name * 40), wchan=name),
                tracer_comm=name,
                tracer_host_pid=number,
                live_threads=(LiveThread(9, name, "S", name, name),),
                blame=list(ZombieBlame)[number % len(ZombieBlame)],
            )
            for number, name in enumerate(HOSTILE_NAMES)
        )
    )


def a_doctor(**changes: object) -> DoctorReport:
    """This host has no kprobes and a socket nobody may open."""
    plain = DoctorReport(
        kernel="6.18.0-amd64",
        machine="x86_64",
        checks=(
            DoctorCheck("privilege", CheckState.OK, "CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE"),
            DoctorCheck("BTF", CheckState.OK, "/sys/kernel/btf/vmlinux"),
            DoctorCheck(
                "docker",
                CheckState.WARN,
                "no permission on /run/docker.sock: its containers cannot be named",
                "join the group docker, or run as root",
            ),
        ),
        hooks=(
            PlannedHook(HookState("exit", "raw_tp:sched_process_exit")),
            PlannedHook(
                HookState(
                    "reap", None, "the time of a reap is an upper bound, some 10 to 25 ms late"
                ),
                (RejectedHook("kprobe:release_task", NO_KPROBES),),
            ),
            PlannedHook(
                HookState("oom", "raw_tp:mark_victim", "of a victim only the number is told"),
                (
                    RejectedHook("raw_tp:mark_victim", "its argument is a bare number here"),
                    RejectedHook("kprobe:__oom_kill_process", NO_KPROBES),
                ),
            ),
        ),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


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
        ({}, "can be traced; some times and details are less exact"),
        ({"hooks": a_doctor().hooks[:1]}, "with the best hooks there are"),
        (
            {"checks": (DoctorCheck("BTF", CheckState.FAIL, "none"),), "hooks": ()},
            "cannot be traced as things are: BTF.",
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
        "degrades": "the time of a reap is an upper bound, some 10 to 25 ms late",
        "rejected": [{"source": "kprobe:release_task", "reason": NO_KPROBES}],
    }
