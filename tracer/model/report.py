"""The report: what a trace concluded. Field names are the JSON contract.

Durations are ns of CLOCK_BOOTTIME; ``*_boot_ns`` fields are instants of it.
None = unknown, and null in JSON. Fields named ``detail_*`` or listed in a
class's docstring as additions are not part of the contract but are stable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tracer.model.events import HookState, Precision, SigchldAction
from tracer.model.signals import SignalResult
from tracer.model.target import Container
from tracer.model.verdicts import (
    Cause,
    End,
    ReapKind,
    Severity,
    StopOutcome,
    StopSignalDisposition,
)


@dataclass(frozen=True, slots=True)
class StopReport:
    """One stop of one container or PID namespace.

    The counts leave init out, put each member in exactly one, and sum to
    ``members``: the processes there at the begin plus later forks.
    Additions: ``container_name``, ``begin_boot_ns``, ``end_boot_ns``, ``trigger``
    (what began the stop: stop_signal, sigkill, cgroup_kill, oom, init_exit),
    ``kill_boot_ns``, ``kill_sender_comm``, ``kill_sender_chain``,
    ``init_exit_boot_ns``, ``init_cause``, ``members``, ``complete``.
    """

    container_id: str | None
    container_name: str | None
    pidns_inum: int
    init_host_pid: int
    init_comm: str
    trigger: str
    stop_signal: str | None
    stop_signal_result: SignalResult | None
    stop_signal_disposition: StopSignalDisposition
    stop_sender_host_pid: int | None
    stop_sender_comm: str | None
    stop_sender_chain: tuple[str, ...]
    escalated: bool
    kill_sender_comm: str | None
    kill_sender_chain: tuple[str, ...]
    outcome: StopOutcome | None
    grace_ns: int | None
    teardown_ns: int | None
    duration_ns: int | None
    begin_boot_ns: int
    kill_boot_ns: int | None
    init_exit_boot_ns: int | None
    end_boot_ns: int | None
    init_exit_code: int | None
    init_term_signal: str | None
    init_cause: Cause | None
    members: int
    sigkilled: int
    signalled: int
    exited: int
    already_zombie: int
    survived: int
    complete: bool


@dataclass(frozen=True, slots=True)
class ProcessReport:
    """One process's fate.

    ``stop_signal_seen`` is True where the process was sent its stop's signal.
    Additions: ``start_boot_ns``, ``pidns_inum``, ``container_id``,
    ``parent_host_pid``, ``end_boot_ns``, ``sender_chain``, ``sender_syscall``,
    ``trigger_host_pid``, ``trigger_comm``, ``signal_boot_ns``, ``core_dumped``,
    ``is_init``, ``complete``, ``passed_on_host_pid`` (an exit code of 128 + N:
    the child whose death by signal N it most likely passes on). ``end`` is None
    where the record of its end may have been lost.
    """

    host_pid: int
    ns_pid: int | None
    comm: str
    end: End | None
    exit_code: int | None
    term_signal: str | None
    cause: Cause | None
    sender_host_pid: int | None
    sender_comm: str | None
    stop_signal_seen: bool
    stop_signal_disposition: StopSignalDisposition
    zombie_ns: int | None
    reap_kind: ReapKind | None
    reaper_host_pid: int | None
    reaper_comm: str | None
    start_boot_ns: int
    pidns_inum: int | None
    container_id: str | None
    parent_host_pid: int | None
    end_boot_ns: int | None
    core_dumped: bool
    sender_chain: tuple[str, ...]
    sender_syscall: str | None
    trigger_host_pid: int | None
    trigger_comm: str | None
    signal_boot_ns: int | None
    is_init: bool
    complete: bool
    passed_on_host_pid: int | None = None


@dataclass(frozen=True, slots=True)
class ZombieReport:
    """One process that stayed a zombie long enough to be named.

    ``precision`` qualifies ``zombie_ns``: lower_bound while it is unreaped or
    where it was a zombie before tracing began. ``parent_*`` is who must reap it
    or, once it is reaped, who let it lie longest. ``live_threads`` > 0: only its
    main thread had ended, and this is the time until the last one did.
    Additions: ``begin_boot_ns``, ``pidns_inum``, ``container_id``, ``complete``,
    ``tracer_host_pid`` (held by a tracer that has not waited for it).
    """

    host_pid: int
    ns_pid: int | None
    comm: str
    parent_host_pid: int | None
    parent_comm: str | None
    zombie_ns: int | None
    reaped: bool
    reap_kind: ReapKind | None
    reaper_host_pid: int | None
    reaper_comm: str | None
    precision: Precision
    live_threads: int
    parent_sigchld: SigchldAction
    injected: bool
    begin_boot_ns: int | None
    pidns_inum: int | None
    container_id: str | None
    complete: bool
    tracer_host_pid: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A conclusion with a code, its evidence and what to do about it."""

    code: str
    severity: Severity
    title: str
    detail: str
    advice: str
    host_pids: tuple[int, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line of the story of a stop: when, and what happened.

    Args:
        boot_ns: When.
        text: A plain sentence without control characters.
        weight: 2 for turning points (a stop signal, SIGKILL, init's end),
            1 for other deaths, 0 for background.
    """

    boot_ns: int
    text: str
    weight: int


@dataclass(frozen=True, slots=True)
class Report:
    """The whole conclusion of a trace.

    Additions: ``headline`` (what happened in one sentence), ``timeline``,
    ``begin_boot_ns``, ``end_boot_ns``, ``utc_offset_ns``, ``target``.
    """

    complete: bool
    lost: Mapping[str, int]
    kernel: str
    hooks: tuple[HookState, ...]
    containers: tuple[Container, ...]
    stops: tuple[StopReport, ...]
    processes: tuple[ProcessReport, ...]
    zombies: tuple[ZombieReport, ...]
    findings: tuple[Finding, ...]
    headline: str
    timeline: tuple[TimelineEntry, ...]
    target: str
    begin_boot_ns: int
    end_boot_ns: int
    utc_offset_ns: int
    schema: str = field(default="zomtrace.report/1")
