"""Reports made by hand and their parts, as the correlator would conclude them.

Times are invented but consistent: the boot clock's zero is 2026-11-22 10:00 UTC.
"""

from __future__ import annotations

from dataclasses import replace

from tracer.model.events import HookState, Precision, SigchldAction
from tracer.model.report import Finding, ProcessReport, Report, StopReport, ZombieReport
from tracer.model.signals import SIGTERM, SignalResult
from tracer.model.target import Container
from tracer.model.verdicts import (
    FINDING_KINDS,
    Cause,
    End,
    ReapKind,
    StopOutcome,
    StopSignalDisposition,
)

MS = 1_000_000
SECOND = 1_000 * MS
UTC_OFFSET_NS = 1_795_341_600 * SECOND
BEGIN_NS = 2_808 * SECOND
CONTAINER_ID = "3f2a9c1b7d4e" + "0" * 52
PIDNS = 4_026_532_201
INIT_PID = 4711
RUNC_CHAIN = ("containerd-shim", "systemd")
HOOKS = (
    HookState("exit", "raw_tp:sched_process_exit"),
    HookState(
        "reap",
        "raw_tp:sched_process_free",
        "the time of a reap is an upper bound, about 10 to 25 ms late",
    ),
    HookState("signal", "raw_tp:signal_generate"),
    HookState("teardown_begin", None, "the start of a teardown is taken from the exit of its init"),
)
KPROBE_HOOKS = (
    HookState("exit", "raw_tp:sched_process_exit"),
    HookState("reap", "kprobe:release_task"),
)
WEB = Container(
    id=CONTAINER_ID,
    name="web",
    runtime="docker",
    init_host_pid=INIT_PID,
    init_start_boot_ns=BEGIN_NS - 60 * SECOND,
    pidns_inum=PIDNS,
    has_own_pidns=True,
    cgroup_path="/sys/fs/cgroup/docker/web",
    cgroup_id=4242,
    stop_signo=SIGTERM,
)


def a_process(host_pid: int, comm: str = "worker", **changes: object) -> ProcessReport:
    """A process of container web that ended by itself with code 0."""
    plain = ProcessReport(
        host_pid=host_pid,
        ns_pid=host_pid - INIT_PID + 1,
        comm=comm,
        end=End.EXIT,
        exit_code=0,
        term_signal=None,
        cause=None,
        sender_host_pid=None,
        sender_comm=None,
        stop_signal_seen=False,
        stop_signal_disposition=StopSignalDisposition.NOT_SENT,
        zombie_ns=80_000,
        reap_kind=ReapKind.PARENT,
        reaper_host_pid=INIT_PID,
        reaper_comm="fwd",
        start_boot_ns=BEGIN_NS - 50 * SECOND,
        pidns_inum=PIDNS,
        container_id=CONTAINER_ID,
        parent_host_pid=INIT_PID,
        end_boot_ns=BEGIN_NS + 2 * SECOND,
        core_dumped=False,
        sender_chain=(),
        sender_syscall=None,
        trigger_host_pid=None,
        trigger_comm=None,
        signal_boot_ns=None,
        is_init=False,
        complete=True,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def an_init(comm: str = "fwd", **changes: object) -> ProcessReport:
    """PID 1 of container web, reaped by its shim."""
    return replace(
        a_process(
            INIT_PID,
            comm,
            is_init=True,
            parent_host_pid=4690,
            reaper_host_pid=4690,
            reaper_comm="containerd-shim",
        ),
        **changes,  # type: ignore[arg-type]
    )


def killed(host_pid: int, comm: str = "worker", **changes: object) -> ProcessReport:
    """A process that the namespace's teardown killed."""
    return replace(
        a_process(host_pid, comm),
        **{
            "end": End.SIGNAL,
            "exit_code": None,
            "term_signal": "SIGKILL",
            "cause": Cause.PIDNS_TEARDOWN,
            "trigger_host_pid": INIT_PID,
            "trigger_comm": "fwd",
            "reap_kind": ReapKind.TEARDOWN,
            "signal_boot_ns": BEGIN_NS + 2 * SECOND,
            **changes,
        },  # type: ignore[arg-type]
    )


def a_stop(**changes: object) -> StopReport:
    """A stop of container web by runc, over in 12 ms."""
    plain = StopReport(
        container_id=CONTAINER_ID,
        container_name="web",
        pidns_inum=PIDNS,
        init_host_pid=INIT_PID,
        init_comm="fwd",
        trigger="stop_signal",
        stop_signal="SIGTERM",
        stop_signal_result=SignalResult.DELIVERED,
        stop_signal_disposition=StopSignalDisposition.CAUGHT,
        stop_sender_host_pid=4801,
        stop_sender_comm="runc",
        stop_sender_chain=RUNC_CHAIN,
        escalated=False,
        kill_sender_comm=None,
        kill_sender_chain=(),
        outcome=StopOutcome.STOPPED,
        grace_ns=4 * MS,
        teardown_ns=1_240_000,
        duration_ns=12 * MS,
        begin_boot_ns=BEGIN_NS + 2 * SECOND,
        kill_boot_ns=None,
        init_exit_boot_ns=BEGIN_NS + 2 * SECOND + 4 * MS,
        end_boot_ns=BEGIN_NS + 2 * SECOND + 12 * MS,
        init_exit_code=0,
        init_term_signal=None,
        init_cause=None,
        members=0,
        sigkilled=0,
        signalled=0,
        exited=0,
        already_zombie=0,
        survived=0,
        complete=True,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def a_zombie(host_pid: int, comm: str = "worker", **changes: object) -> ZombieReport:
    """A zombie of container web that PID 1 never collected."""
    plain = ZombieReport(
        host_pid=host_pid,
        ns_pid=host_pid - INIT_PID + 1,
        comm=comm,
        parent_host_pid=INIT_PID,
        parent_comm="zombie-proc",
        zombie_ns=9_800 * MS,
        reaped=False,
        reap_kind=None,
        reaper_host_pid=None,
        reaper_comm=None,
        precision=Precision.LOWER_BOUND,
        live_threads=0,
        parent_sigchld=SigchldAction.DEFAULT,
        injected=False,
        begin_boot_ns=BEGIN_NS + SECOND,
        pidns_inum=PIDNS,
        container_id=CONTAINER_ID,
        complete=True,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def a_finding(code: str, title: str, **changes: object) -> Finding:
    """A finding with its usual severity."""
    plain = Finding(
        code=code,
        severity=FINDING_KINDS[code].severity,
        title=title,
        detail="",
        advice="",
        host_pids=(INIT_PID,),
        complete=True,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def a_report(**changes: object) -> Report:
    """A trace of container web in which nothing happened."""
    plain = Report(
        complete=True,
        lost={},
        kernel="6.18.0-amd64",
        hooks=HOOKS,
        containers=(WEB,),
        stops=(),
        processes=(),
        zombies=(),
        findings=(),
        headline="Nothing ended and nothing was killed while web was watched.",
        timeline=(),
        target="web (docker 3f2a9c1b7d4e)",
        begin_boot_ns=BEGIN_NS,
        end_boot_ns=BEGIN_NS + 10 * SECOND,
        utc_offset_ns=UTC_OFFSET_NS,
    )
    report = replace(plain, **changes)  # type: ignore[arg-type]
    if not report.stops:
        return report
    members = tuple(
        replace(each, stop=0)
        if each.stop is None and each.pidns_inum == report.stops[0].pidns_inum
        else each
        for each in report.processes
    )
    return replace(report, processes=members)
