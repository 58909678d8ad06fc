"""Whole reports, one a story: what a report says of a stop, a leak, a kill, or of nothing."""

from __future__ import annotations

from dataclasses import replace

from tests.support.hostile_names import HOSTILE_NAMES
from tests.support.reports import (
    BEGIN_NS,
    INIT_PID,
    KPROBE_HOOKS,
    MS,
    RUNC_CHAIN,
    SECOND,
    WEB,
    a_finding,
    a_process,
    a_report,
    a_stop,
    a_zombie,
    an_init,
    killed,
)
from tracer.model.events import HookState, Precision, SigchldAction
from tracer.model.report import Report, TimelineEntry
from tracer.model.signals import SignalResult
from tracer.model.verdicts import Cause, End, ReapKind, StopSignalDisposition


def nothing_happened() -> Report:
    """No stop, no zombie, no finding, every hook the best there is."""
    return a_report(hooks=KPROBE_HOOKS)


def fwd_sig() -> Report:
    """PID 1 handles SIGTERM and ends; its seven children get SIGKILL."""
    at = BEGIN_NS + 2 * SECOND
    workers = tuple(killed(INIT_PID + 1 + i) for i in range(7))
    return a_report(
        headline=(
            "web: PID 1 (fwd) handled SIGTERM, exited with code 0 and did not forward it; the "
            "kernel then killed the 7 processes left with SIGKILL."
        ),
        stops=(a_stop(members=7, sigkilled=7),),
        processes=(
            *workers,
            an_init(stop_signal_seen=True, stop_signal_disposition=StopSignalDisposition.CAUGHT),
        ),
        findings=(
            a_finding(
                "ZT102",
                "PID 1 of web did not forward SIGTERM",
                detail=(
                    "fwd (pid 1, host 4711) handled SIGTERM and exited 4 ms later. None of its 7 "
                    "children was sent SIGTERM before; all were killed by SIGKILL in the "
                    "namespace's teardown."
                ),
                advice=(
                    "Pass the signal on in the handler and wait for the children, or put an init "
                    "that does in front: docker run --init, or tini as ENTRYPOINT."
                ),
                host_pids=(INIT_PID, *(worker.host_pid for worker in workers)),
            ),
        ),
        timeline=(
            TimelineEntry(at, "SIGTERM to fwd (PID 1) from runc <- containerd-shim <- systemd", 2),
            TimelineEntry(at + 4 * MS, "fwd (PID 1) ends with code 0", 2),
            *(
                TimelineEntry(at + 4 * MS + 9_000 * i, "SIGKILL kills worker (teardown)", 1)
                for i in range(7)
            ),
            TimelineEntry(at + 12 * MS, "the PID namespace is gone", 2),
        ),
    )


def dropped_sigterm() -> Report:
    """A `sleep` as PID 1: SIGTERM is dropped, SIGKILL comes 10 s later."""
    at = BEGIN_NS + 2 * SECOND
    return a_report(
        headline="web: the kernel dropped SIGTERM, as PID 1 (sleep) has no handler for it; "
        "SIGKILL followed 10.0 s later.",
        stops=(
            a_stop(
                init_comm="sleep",
                stop_signal_result=SignalResult.IGNORED,
                stop_signal_disposition=StopSignalDisposition.DEFAULT,
                escalated=True,
                kill_sender_comm="runc",
                kill_sender_chain=RUNC_CHAIN,
                grace_ns=10_004 * MS,
                duration_ns=10_021 * MS,
                kill_boot_ns=at + 10_004 * MS,
                init_exit_boot_ns=at + 10_005 * MS,
                end_boot_ns=at + 10_021 * MS,
                init_exit_code=None,
                init_term_signal="SIGKILL",
                init_cause=Cause.GRACE_EXPIRED,
            ),
        ),
        processes=(
            an_init(
                "sleep",
                end=End.SIGNAL,
                exit_code=None,
                term_signal="SIGKILL",
                cause=Cause.GRACE_EXPIRED,
                sender_host_pid=4822,
                sender_comm="runc",
                sender_chain=RUNC_CHAIN,
                sender_syscall="pidfd_send_signal",
                stop_signal_seen=True,
                stop_signal_disposition=StopSignalDisposition.DEFAULT,
            ),
        ),
        findings=(
            a_finding(
                "ZT103",
                "The grace period of 10.0 s ran out, SIGKILL followed",
                detail="SIGTERM had no effect on sleep (pid 1, host 4711); runc sent SIGKILL "
                "10.0 s later.",
                advice="See ZT101; a longer grace period would not help here.",
            ),
            a_finding(
                "ZT101",
                "PID 1 (sleep) has no handler for SIGTERM",
                detail="A PID 1 is protected from signals it has no handler for: the kernel "
                "dropped SIGTERM, and nothing happened until SIGKILL.",
                advice="Put an init in front (docker run --init), install a handler, or set "
                "STOPSIGNAL to one the program handles.",
            ),
        ),
        timeline=(
            TimelineEntry(at, "SIGTERM to sleep (PID 1) from runc: dropped, no handler", 2),
            TimelineEntry(at + 10_004 * MS, "SIGKILL to sleep (PID 1) from runc", 2),
            TimelineEntry(at + 10_005 * MS, "sleep (PID 1) dies of SIGKILL", 2),
            TimelineEntry(at + 10_021 * MS, "the PID namespace is gone", 2),
        ),
        end_boot_ns=BEGIN_NS + 13 * SECOND,
    )


def zombie_leak() -> Report:
    """PID 1 forks 997 children that end and waits for none."""
    workers = tuple(
        a_process(5000 + i, reap_kind=None, reaper_host_pid=None, reaper_comm=None, zombie_ns=None)
        for i in range(997)
    )
    zombies = tuple(a_zombie(5000 + i, zombie_ns=8_100 * MS + i * MS) for i in range(997))
    collected = (
        a_zombie(
            6100,
            "helper",
            zombie_ns=2_310 * MS,
            reaped=True,
            reap_kind=ReapKind.PARENT,
            reaper_host_pid=6001,
            reaper_comm="supervisor",
            precision=Precision.UPPER_BOUND,
            parent_host_pid=6001,
            parent_comm="supervisor",
            parent_sigchld=SigchldAction.CAUGHT,
        ),
        a_zombie(
            6200,
            "probe",
            parent_host_pid=4690,
            parent_comm="containerd-shim",
            injected=True,
        ),
        a_zombie(6300, "java", live_threads=3, zombie_ns=4 * SECOND),
    )
    return a_report(
        headline="web: zombie-proc (pid 1) left 997 dead children uncollected; all are still "
        "zombies.",
        processes=(
            *workers,
            an_init("zombie-proc", end=End.RUNNING, exit_code=None, zombie_ns=None),
        ),
        zombies=(*zombies, *collected),
        findings=(
            a_finding(
                "ZT201",
                "zombie-proc does not wait for its children: 997 zombies",
                detail="997 x worker ended 8.1 s to 9.1 s ago; zombie-proc (pid 1, host 4711) "
                "has waited for none of them and waits for none now (blocked in nanosleep).",
                advice="Call waitpid(-1, ..., WNOHANG) in a loop when SIGCHLD comes, or ignore "
                "SIGCHLD if no exit status matters.",
            ),
            a_finding("ZT203", "java's first thread ended, 3 of its threads live on"),
        ),
        timeline=(
            *(
                TimelineEntry(BEGIN_NS + SECOND + i * MS, "worker ends with code 0", 0)
                for i in range(997)
            ),
            TimelineEntry(BEGIN_NS + 9 * SECOND, "a fork fails: EAGAIN", 1),
        ),
    )


def docker_kill() -> Report:
    """`docker kill`: SIGKILL from the runtime, no stop signal before."""
    at = BEGIN_NS + 2 * SECOND
    return a_report(
        headline="web was killed by its runtime (runc sent SIGKILL); no stop signal came before.",
        stops=(
            a_stop(
                init_comm="nginx",
                trigger="sigkill",
                stop_signal=None,
                stop_signal_result=None,
                stop_signal_disposition=StopSignalDisposition.NOT_SENT,
                stop_sender_host_pid=None,
                stop_sender_comm=None,
                stop_sender_chain=(),
                kill_sender_comm="runc",
                kill_sender_chain=RUNC_CHAIN,
                grace_ns=None,
                kill_boot_ns=at,
                init_exit_code=None,
                init_term_signal="SIGKILL",
                init_cause=Cause.RUNTIME_KILL,
                members=5,
                sigkilled=3,
                exited=1,
                already_zombie=1,
            ),
        ),
        processes=(
            an_init(
                "nginx",
                end=End.SIGNAL,
                exit_code=None,
                term_signal="SIGKILL",
                cause=Cause.RUNTIME_KILL,
                sender_host_pid=4822,
                sender_comm="runc",
                sender_chain=RUNC_CHAIN,
                sender_syscall="pidfd_send_signal",
            ),
            *(killed(INIT_PID + 1 + i, "nginx", trigger_comm="nginx") for i in range(3)),
            a_process(4720, "sh", exit_code=137),
            a_process(4721, "cron", exit_code=1),
            a_process(4722, "curl"),
        ),
        timeline=(
            TimelineEntry(at - 250 * MS, "sh ends with code 137: its child died of SIGKILL", 1),
            TimelineEntry(at, "SIGKILL to nginx (PID 1) from runc", 2),
            TimelineEntry(at + 12 * MS, "the PID namespace is gone", 2),
        ),
        findings=(),
    )


def incomplete() -> Report:
    """Records were lost, so nothing is certain."""
    plain = fwd_sig()
    return replace(
        plain,
        complete=False,
        lost={"exit": 12, "signal": 3, "fork": 0},
        stops=tuple(replace(stop, complete=False) for stop in plain.stops),
        findings=(
            *(replace(finding, complete=False) for finding in plain.findings),
            a_finding(
                "ZT901",
                "15 records were lost",
                detail="12 exit and 3 signal records did not fit into the ring buffer.",
                advice="Give a larger --buffer, or trace fewer containers at once.",
                host_pids=(),
            ),
        ),
    )


def hostile() -> Report:
    """Names made to break terminals, lines and encodings, in every field."""
    plain = fwd_sig()
    evil = "\x1b]0;owned\x07\n\u202e\udcff"
    container = replace(WEB, name=f"web{evil}", cgroup_path=f"/sys/fs/cgroup/{evil}", pod=evil)
    return replace(
        plain,
        headline=f"web{evil}: PID 1 ({evil}) ended.",
        target=f"web{evil}",
        kernel=f"6.18{evil}",
        containers=(container,),
        lost={evil: 1},
        complete=False,
        hooks=(HookState(evil, evil, evil),),
        stops=(
            a_stop(
                container_name=evil,
                init_comm=evil,
                stop_sender_comm=evil,
                stop_sender_chain=(evil, evil),
                kill_sender_comm=evil,
                members=9,
                sigkilled=9,
            ),
        ),
        processes=(
            an_init(evil),
            *(
                killed(
                    4800 + number,
                    name,
                    trigger_comm=name,
                    sender_comm=name if number % 2 else None,
                    sender_chain=(name,) if number % 2 else (),
                    sender_syscall=evil,
                )
                for number, name in enumerate(HOSTILE_NAMES)
            ),
        ),
        zombies=tuple(
            a_zombie(
                4800 + number,
                name,
                parent_comm=name,
                reaper_comm=name,
                reaper_host_pid=1,
                reaped=True,
                reap_kind=ReapKind.ADOPTER,
            )
            for number, name in enumerate(HOSTILE_NAMES)
        ),
        findings=(a_finding("ZT106", evil * 3, detail=evil * 30, advice=evil),),
        timeline=(TimelineEntry(BEGIN_NS + 2 * SECOND, evil * 5, 2),),
    )


SAMPLES = {
    "nothing-happened": nothing_happened,
    "fwd-sig": fwd_sig,
    "dropped-sigterm": dropped_sigterm,
    "zombie-leak": zombie_leak,
    "docker-kill": docker_kill,
    "incomplete": incomplete,
    "hostile": hostile,
}
"""Every story by the name of its golden file."""
