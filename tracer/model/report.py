"""The report: what a trace concluded. Field names are the JSON contract.

Durations are ns of CLOCK_BOOTTIME; ``*_boot_ns`` fields are instants of it.
None = unknown, and null in JSON. Fields named ``detail_*`` or listed in a
class's docstring as additions are not part of the contract but are stable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tracer.model.claims.claim import Certainty
from tracer.model.claims.hold import HoldReason
from tracer.model.events import BPF_SOURCE, HookState, Precision, SigchldAction
from tracer.model.signals import SignalResult
from tracer.model.target import Container
from tracer.model.verdicts import (
    Cause,
    End,
    ExitCodeOrigin,
    ReapKind,
    Severity,
    StopOutcome,
    StopSignalDisposition,
)

DETAIL = 2_000
"""How many exited processes a report describes in detail by default."""
MOST_DETAIL = 1_000_000
""":data:`DETAIL` may be so large: some 3 KB are kept of each."""


@dataclass(frozen=True, slots=True)
class StopHolder:
    """A process that held a stop up, and why.

    Args:
        host_pid: Its pid on the host.
        start_boot_ns: With the pid it names one process.
        comm: Its name.
        reason: In one word (:class:`~tracer.model.claims.hold.HoldReason`).
        why: In words: ``ignores SIGTERM``.
        waiter_host_pids: Who waited for it, PID 1 first; none where it is PID 1 itself.
        certainty: How certain that is.
    """

    host_pid: int
    start_boot_ns: int
    comm: str
    reason: HoldReason
    why: str
    waiter_host_pids: tuple[int, ...]
    certainty: Certainty


@dataclass(frozen=True, slots=True)
class StopReport:
    """One stop of one container or PID namespace.

    The counts leave init out, put each member in exactly one, and sum to
    ``members``: the processes there at the begin plus later forks.
    Additions: ``container_name``, ``begin_boot_ns``, ``end_boot_ns``, ``trigger``
    (what began the stop: stop_signal, sigkill, cgroup_kill, oom, init_exit,
    unknown: what ended init was not seen),
    ``kill_boot_ns``, ``kill_sender_comm``, ``kill_sender_chain``,
    ``init_exit_boot_ns``, ``init_cause``, ``members``, ``complete``, ``outer_stop``
    (a nested namespace's stop: the index of the stop that it was a part of),
    ``holders`` (who held it up, of one that escalated or took longer than a second).
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
    outer_stop: int | None = None
    holders: tuple[StopHolder, ...] = ()


@dataclass(frozen=True, slots=True)
class ProcessReport:
    """One process's fate.

    ``stop_signal_seen`` is True where the process was sent its stop's signal.
    ``stop`` is the index in ``stops`` of the stop that it ended in, else of the last
    one it was there for; None where it was there for none that is listed.
    ``reap_boot_ns`` is when it was reaped, or no later than when. ``command`` is its
    command line, masked and cut, where one was read.
    Additions: ``start_boot_ns``, ``pidns_inum``, ``container_id``,
    ``parent_host_pid``, ``end_boot_ns``, ``sender_chain``, ``sender_syscall``,
    ``trigger_host_pid``, ``trigger_comm``, ``signal_boot_ns``, ``core_dumped``,
    ``is_init``, ``complete``, ``passed_on_host_pid`` (an exit code of 128 + N:
    the child whose death by signal N, for which it waited, it passes on),
    ``passed_on_start_boot_ns``, ``sender_start_boot_ns`` (with the pids they name one
    process), ``exit_code_origin`` (of a code of 128 + N). ``end`` is None
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
    stop: int | None = None
    reap_boot_ns: int | None = None
    command: str | None = None
    sender_start_boot_ns: int | None = None
    passed_on_start_boot_ns: int | None = None
    exit_code_origin: ExitCodeOrigin | None = None


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
    """A conclusion with a code, its evidence and what to do about it.

    ``host_pids`` are those of the processes it concerns that the report lists.
    Additions: ``processes`` (how many it concerns in all).
    """

    code: str
    severity: Severity
    title: str
    detail: str
    advice: str
    host_pids: tuple[int, ...]
    complete: bool
    processes: int = 0


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
class FoldedProcesses:
    """Processes that are counted and not listed: all of one name and one end.

    ``comm`` is None where names differ. The two instants are those of the first and
    the last release among them, or of the trace's end for what still runs;
    ``longest_zombie_ns`` is 0 where none was a zombie for long.
    """

    container_id: str | None
    comm: str | None
    end: End | None
    exit_code: int | None
    term_signal: str | None
    cause: Cause | None
    sender_comm: str | None
    count: int
    longest_zombie_ns: int
    first_boot_ns: int
    last_boot_ns: int
    complete: bool


@dataclass(frozen=True, slots=True)
class FoldedZombies:
    """Zombies that are counted and not listed: of one name, parent and fate."""

    container_id: str | None
    comm: str | None
    parent_host_pid: int | None
    parent_comm: str | None
    reaped: bool
    reap_kind: ReapKind | None
    count: int
    longest_zombie_ns: int
    first_boot_ns: int
    last_boot_ns: int
    complete: bool


@dataclass(frozen=True, slots=True)
class FoldedStops:
    """Stops that are counted and not listed: of one container name, cause and course.

    ``members`` and what follows are sums over all of them.
    """

    container_name: str | None
    init_comm: str | None
    trigger: str
    stop_signal: str | None
    outcome: StopOutcome | None
    escalated: bool
    init_exit_code: int | None
    init_term_signal: str | None
    init_cause: Cause | None
    count: int
    members: int
    sigkilled: int
    signalled: int
    exited: int
    already_zombie: int
    survived: int
    longest_duration_ns: int
    first_boot_ns: int
    last_boot_ns: int
    complete: bool


@dataclass(frozen=True, slots=True)
class FoldedFindings:
    """Findings that are counted and not listed: more like those that are.

    ``title`` is that of one of them.
    """

    code: str
    severity: Severity
    title: str
    count: int


@dataclass(frozen=True, slots=True)
class Folded:
    """What a report counts instead of listing it, the worst first.

    ``timeline`` is how many entries of the timeline were left out.
    """

    processes: tuple[FoldedProcesses, ...] = ()
    zombies: tuple[FoldedZombies, ...] = ()
    stops: tuple[FoldedStops, ...] = ()
    findings: tuple[FoldedFindings, ...] = ()
    timeline: int = 0

    @property
    def totals(self) -> Mapping[str, int]:
        """How many of each kind."""
        return {
            "processes": sum(row.count for row in self.processes),
            "zombies": sum(row.count for row in self.zombies),
            "stops": sum(row.count for row in self.stops),
            "findings": sum(row.count for row in self.findings),
            "timeline": self.timeline,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The whole conclusion of a trace.

    Additions: ``headline`` (what happened in one sentence), ``timeline``,
    ``begin_boot_ns``, ``end_boot_ns``, ``utc_offset_ns``, ``target``, ``behind_ns``
    (how far the tracer was behind at the most; 0 where it kept up), ``folded`` (what
    is counted instead of listed), ``source`` (``bpf`` or ``netlink``).
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
    behind_ns: int = 0
    folded: Folded = field(default_factory=Folded)
    source: str = BPF_SOURCE
    schema: str = field(default="zomtrace.report/1")
