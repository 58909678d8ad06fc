"""What `zombies` and `doctor` found, made by hand."""

from __future__ import annotations

from dataclasses import replace

from tests.support.hostile_names import HOSTILE_NAMES
from tests.support.reports import BEGIN_NS, MS, SECOND
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
                    "reap", None, "the time of a reap is an upper bound, about 10 to 25 ms late"
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
