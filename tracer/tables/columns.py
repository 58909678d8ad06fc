"""Every column of every table: the one place their names and types are said.

DataFrames, Parquet, CSV and the tables of docs/pandas.md are made from it.
"""

from __future__ import annotations

from enum import StrEnum

from tracer.model.events import Precision, SigchldAction, TeardownPhase
from tracer.model.signals import SIGRTMAX, Disposition, SignalResult, signal_name
from tracer.model.verdicts import (
    Cause,
    End,
    ExitCodeOrigin,
    ReapKind,
    Severity,
    StopOutcome,
    StopSignalDisposition,
)
from tracer.tables.column import Column, ColumnType


def _values(*kinds: type[StrEnum]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(member.value for kind in kinds for member in kind))


EVENT_KINDS = (
    "attached",
    "process",
    "fork",
    "exec",
    "exit",
    "reap",
    "signal",
    "deliver",
    "teardown",
    "oom",
    "fork_failed",
    "observation",
    "loss",
)
_SIGNALS = tuple(signal_name(signo) for signo in range(1, SIGRTMAX + 1))
_CAUSES = _values(Cause)
_REAPS = _values(ReapKind)
_TRIGGERS = ("stop_signal", "sigkill", "cgroup_kill", "oom", "init_exit", "unknown")

_INT32, _INT64, _BOOL = ColumnType.INT32, ColumnType.INT64, ColumnType.BOOL
_STRING, _CATEGORY, _TIME = ColumnType.STRING, ColumnType.CATEGORY, ColumnType.TIME
_OTHER = "another kind of event"
_NOT_KNOWN = "unknown"
_NOT_REAPED = "not reaped when the trace ended"
_NO_SIGNAL = "it did not die of a signal"
_NO_SENDER = "the kernel sent it, not a process"
_OF_A_REAP = "for a reap or an uneventful exit"
_OWN_ROW = "another kind, or an exit whose reap has its own row"
_RUNS = "still running when the trace ended"


def _time(name: str, clock: str, meaning: str, null: str | None = None) -> Column:
    return Column(name, _TIME, meaning, null, clock=clock)


_TIME_AND_CLOCK = (
    _time("time", "boot_ns", "when it happened"),
    Column("boot_ns", _INT64, "the same in CLOCK_BOOTTIME of the host, ns"),
)
_SUBJECT = (
    Column("host_pid", _INT32, "the process it is about, by its pid on the host", _OTHER),
    Column("ns_pid", _INT32, "its pid in its own PID namespace", "unknown, or no process"),
    Column("start_boot_ns", _INT64, "its start; with host_pid it identifies a process", _OTHER),
    Column("comm", _STRING, "the name of its main thread, control characters escaped", _OTHER),
    Column("parent_host_pid", _INT32, "its parent at that moment", _NOT_KNOWN),
    Column("pidns_inum", _INT64, "its innermost PID namespace", _NOT_KNOWN),
    Column("cgroup_id", ColumnType.UINT64, "the inode of its cgroup", _NOT_KNOWN),
    Column("container_id", _STRING, "its container, by full id", "none known"),
    Column(
        "container_name",
        _STRING,
        "its container, by name",
        "in no known container, or it has no name",
    ),
)
_SIGNAL = (
    Column("signal", _CATEGORY, "the signal", _OTHER, categories=_SIGNALS),
    Column("sender_host_pid", _INT32, "the pid of the sender", _NO_SENDER),
    Column(
        "sender_ns_pid",
        _INT32,
        "the sender's pid in the target's namespace; 0 = outside",
        _NO_SENDER,
    ),
    Column("sender_comm", _STRING, "the sender's name", _NO_SENDER),
    Column(
        "sender_chain",
        ColumnType.STRINGS,
        "the names of the sender's ancestors, nearest first",
        _NO_SENDER,
    ),
    Column("sender_syscall", _STRING, "the system call that sent it", "none, or unknown"),
    Column(
        "trigger_host_pid",
        _INT32,
        "for a signal from the kernel: the process in whose context it was raised",
        "a process sent it",
    ),
    Column("trigger_comm", _STRING, "its name", "a process sent it"),
    Column("si_code", _INT32, "how it was raised, see sigaction(2)", "the kernel set none"),
    Column(
        "result", _CATEGORY, "what the kernel did with it", _OTHER, categories=_values(SignalResult)
    ),
    Column(
        "disposition",
        _CATEGORY,
        "the target's disposition for it",
        _OTHER,
        categories=_values(Disposition),
    ),
    Column("repeats", _INT64, "how many earlier signals like it were only counted", _OTHER),
    Column("repeats_since_boot_ns", _INT64, "when the first of those was sent, ns", "none were"),
)
_CAUSE = Column(
    "cause",
    _CATEGORY,
    "why it died, or why the signal was sent",
    "not a death by signal",
    categories=_CAUSES,
)

EVENTS = (
    *_TIME_AND_CLOCK,
    Column("kind", _CATEGORY, "what happened", categories=EVENT_KINDS),
    *_SUBJECT,
    Column("exit_code", _INT32, "for an exit: its code", "died of a signal, or another kind"),
    Column(
        "term_signal",
        _CATEGORY,
        "for an exit: the signal it died of",
        "it exited, or another kind",
        categories=_SIGNALS,
    ),
    Column("core_dumped", _BOOL, "for an exit: whether it dumped core", _OTHER),
    _CAUSE,
    Column("forked_boot_ns", _INT64, "for an uneventful exit: when it was forked, ns", _OWN_ROW),
    Column("exit_boot_ns", _INT64, "for an uneventful exit: when it exited, ns", _OWN_ROW),
    Column(
        "executed",
        _STRING,
        "for an uneventful exit: the name after its last exec",
        f"{_OWN_ROW}, or it called no exec",
    ),
    Column("zombie_ns", _INT64, f"{_OF_A_REAP}: how long it was a zombie, ns", _OTHER),
    Column("reap_kind", _CATEGORY, f"{_OF_A_REAP}: what released it", _OTHER, categories=_REAPS),
    Column(
        "reaper_host_pid",
        _INT32,
        f"{_OF_A_REAP}: the pid of the reaper",
        "another kind, or unknown",
    ),
    Column(
        "reaper_comm", _STRING, f"{_OF_A_REAP}: the name of the reaper", "another kind, or unknown"
    ),
    Column(
        "precision",
        _CATEGORY,
        f"{_OF_A_REAP}: the precision of zombie_ns",
        _OTHER,
        categories=_values(Precision),
    ),
    *_SIGNAL,
    Column(
        "phase",
        _CATEGORY,
        "for a teardown: its beginning or its end",
        _OTHER,
        categories=_values(TeardownPhase),
    ),
    Column("detail", _STRING, "the remaining fields of the JSON line, as JSON", "no other fields"),
)

SIGNALS = (
    *_TIME_AND_CLOCK,
    *_SUBJECT,
    *_SIGNAL,
    Column("cause", _CATEGORY, "why it was sent", "it killed no process", categories=_CAUSES),
)

PROCESSES = (
    Column("host_pid", _INT32, "the pid of the process on the host"),
    Column("start_boot_ns", _INT64, "its start, ns; with host_pid it identifies it"),
    Column("ns_pid", _INT32, "its pid in its own PID namespace", _NOT_KNOWN),
    Column("comm", _STRING, "its last name"),
    Column("container_id", _STRING, "its container", "none known"),
    Column("pidns_inum", _INT64, "its innermost PID namespace", _NOT_KNOWN),
    Column("parent_host_pid", _INT32, "its last parent", _NOT_KNOWN),
    Column("is_init", _BOOL, "whether it was PID 1 of a traced namespace, or a container's init"),
    _time("start_time", "start_boot_ns", "when it started"),
    _time("end_time", "end_boot_ns", "when its last thread ended", _RUNS),
    Column("end_boot_ns", _INT64, "the same in CLOCK_BOOTTIME, ns", _RUNS),
    Column("end", _CATEGORY, "how it ended, or running", categories=_values(End)),
    Column("exit_code", _INT32, "its exit code", "died of a signal, or running"),
    Column("term_signal", _CATEGORY, "the signal it died of", _NO_SIGNAL, categories=_SIGNALS),
    Column("core_dumped", _BOOL, "whether it dumped core"),
    Column("cause", _CATEGORY, "why it died", _NO_SIGNAL, categories=_CAUSES),
    Column(
        "sender_host_pid", _INT32, "the pid of its killer", f"{_NO_SIGNAL}, or the kernel sent it"
    ),
    Column("sender_start_boot_ns", _INT64, "its start, ns", f"{_NO_SIGNAL}, or the kernel sent it"),
    Column("sender_comm", _STRING, "its name", f"{_NO_SIGNAL}, or the kernel sent it"),
    Column("sender_chain", ColumnType.STRINGS, "the sender's ancestors, nearest first"),
    Column("sender_syscall", _STRING, "the system call that sent it", "none, or unknown"),
    Column("trigger_host_pid", _INT32, "in whose context the kernel raised it", _NO_SIGNAL),
    Column("trigger_comm", _STRING, "its name", _NO_SIGNAL),
    _time("signal_time", "signal_boot_ns", "when the signal that killed it was sent", _NO_SIGNAL),
    Column("signal_boot_ns", _INT64, "the same in CLOCK_BOOTTIME, ns", _NO_SIGNAL),
    Column(
        "passed_on_host_pid",
        _INT32,
        "the child whose death by signal its exit code reports (137, 143)",
        "none, or unknown",
    ),
    Column("passed_on_start_boot_ns", _INT64, "the start of that child, ns", "none, or unknown"),
    Column(
        "exit_code_origin",
        _CATEGORY,
        "where an exit code of 128 + N came from",
        "another exit code, or none",
        categories=_values(ExitCodeOrigin),
    ),
    Column("stop_signal_seen", _BOOL, "whether it was sent the signal of its stop"),
    Column(
        "stop_signal_disposition",
        _CATEGORY,
        "its disposition for that signal",
        categories=_values(StopSignalDisposition),
    ),
    Column("zombie_ns", _INT64, "how long it was a zombie, ns", "it was never one, or unknown"),
    Column("reap_kind", _CATEGORY, "what released it", _NOT_REAPED, categories=_REAPS),
    Column("reaper_host_pid", _INT32, "the pid of the reaper", "not reaped, or unknown"),
    Column("reaper_comm", _STRING, "the name of the reaper", "not reaped, or unknown"),
    _time("reap_time", "reap_boot_ns", "when it was reaped, at the latest", _NOT_REAPED),
    Column("reap_boot_ns", _INT64, "the same in CLOCK_BOOTTIME, ns", _NOT_REAPED),
    Column(
        "stop", _INT32, "the stop in which it ended: its index in the report, from 0", "in no stop"
    ),
    Column("command", _STRING, "its command line, masked and truncated", "it was not read"),
    Column("complete", _BOOL, "whether all of it was seen"),
)

ZOMBIES = (
    Column("host_pid", _INT32, "the pid of the zombie on the host"),
    Column("ns_pid", _INT32, "its pid in its own PID namespace", _NOT_KNOWN),
    Column("comm", _STRING, "its name"),
    Column("container_id", _STRING, "its container", "none known"),
    Column("pidns_inum", _INT64, "its innermost PID namespace", _NOT_KNOWN),
    Column("parent_host_pid", _INT32, "the pid of the process that had to reap it", _NOT_KNOWN),
    Column("parent_comm", _STRING, "the name of that process", _NOT_KNOWN),
    Column(
        "parent_sigchld",
        _CATEGORY,
        "what that process does with SIGCHLD",
        categories=_values(SigchldAction),
    ),
    _time("begin_time", "begin_boot_ns", "when it became a zombie", _NOT_KNOWN),
    Column("begin_boot_ns", _INT64, "the same in CLOCK_BOOTTIME, ns", _NOT_KNOWN),
    Column("zombie_ns", _INT64, "how long it was a zombie, ns", _NOT_KNOWN),
    Column("precision", _CATEGORY, "the precision of zombie_ns", categories=_values(Precision)),
    Column("reaped", _BOOL, "whether it was reaped before the trace ended"),
    Column("reap_kind", _CATEGORY, "what released it", _NOT_REAPED, categories=_REAPS),
    Column("reaper_host_pid", _INT32, "the pid of the reaper", "not reaped, or unknown"),
    Column("reaper_comm", _STRING, "the name of the reaper", "not reaped, or unknown"),
    Column("live_threads", _INT32, "for an exited leader: how many threads still run"),
    Column("injected", _BOOL, "whether its parent is outside its namespace"),
    Column("tracer_host_pid", _INT32, "the ptracer that delays its reaping", "none"),
    Column("complete", _BOOL, "whether all of it was seen"),
)

_NO_STOP_SIGNAL = "no stop signal was sent"
_NO_KILL = "no SIGKILL was sent by a process"
STOPS = (
    Column("container_id", _STRING, "the container", "a namespace without a container"),
    Column("container_name", _STRING, "the name of the container", "it has none"),
    Column("pidns_inum", _INT64, "the PID namespace"),
    Column("init_host_pid", _INT32, "its init"),
    Column("init_comm", _STRING, "the name of init"),
    Column("trigger", _CATEGORY, "what began the stop", categories=_TRIGGERS),
    Column("stop_signal", _CATEGORY, "the stop signal", _NO_STOP_SIGNAL, categories=_SIGNALS),
    Column(
        "stop_signal_result",
        _CATEGORY,
        "what the kernel did with it",
        _NO_STOP_SIGNAL,
        categories=_values(SignalResult),
    ),
    Column(
        "stop_signal_disposition",
        _CATEGORY,
        "init's disposition for it",
        categories=_values(StopSignalDisposition),
    ),
    Column("stop_sender_host_pid", _INT32, "the pid of the sender", _NO_STOP_SIGNAL),
    Column("stop_sender_comm", _STRING, "the name of the sender", _NO_STOP_SIGNAL),
    Column("stop_sender_chain", ColumnType.STRINGS, "the sender's ancestors, nearest first"),
    Column("escalated", _BOOL, "whether SIGKILL followed"),
    Column("kill_sender_comm", _STRING, "the name of the process that sent SIGKILL", _NO_KILL),
    Column("kill_sender_chain", ColumnType.STRINGS, "the sender's ancestors, nearest first"),
    Column("outcome", _CATEGORY, "the outcome", "not finished", categories=_values(StopOutcome)),
    Column(
        "grace_ns",
        _INT64,
        "from the stop signal to SIGKILL or, without one, to init's exit, ns",
        _NO_STOP_SIGNAL,
    ),
    Column("teardown_ns", _INT64, "from init's exit to its notification, ns", "not finished"),
    Column("duration_ns", _INT64, "from the beginning to the last release, ns", "not finished"),
    _time("begin_time", "begin_boot_ns", "when it began"),
    _time("kill_time", "kill_boot_ns", "when SIGKILL was sent to init", "it was not"),
    _time("init_exit_time", "init_exit_boot_ns", "when init exited", "it did not"),
    _time("end_time", "end_boot_ns", "when the last member was released", "not finished"),
    Column("begin_boot_ns", _INT64, "begin_time in CLOCK_BOOTTIME, ns"),
    Column("kill_boot_ns", _INT64, "kill_time in CLOCK_BOOTTIME, ns", "it was not"),
    Column("init_exit_boot_ns", _INT64, "init_exit_time in CLOCK_BOOTTIME, ns", "it did not"),
    Column("end_boot_ns", _INT64, "end_time in CLOCK_BOOTTIME, ns", "not finished"),
    Column("init_exit_code", _INT32, "init's exit code", "died of a signal, or running"),
    Column(
        "init_term_signal",
        _CATEGORY,
        "the signal init died of",
        "exited, or running",
        categories=_SIGNALS,
    ),
    Column("init_cause", _CATEGORY, "why it died", "exited, or running", categories=_CAUSES),
    Column("members", _INT32, "the processes other than init; the next five add up to this"),
    Column("sigkilled", _INT32, "killed by SIGKILL"),
    Column("signalled", _INT32, "died of another signal"),
    Column("exited", _INT32, "exited"),
    Column("already_zombie", _INT32, "already zombies at the beginning"),
    Column("survived", _INT32, "still running at the end"),
    Column(
        "outer_stop",
        _INT32,
        "for a nested namespace: the index of the stop it was part of",
        "not part of another stop",
    ),
    Column("holders", ColumnType.PIDS, "the processes that held it up; the JSON says why"),
    Column("complete", _BOOL, "whether all of it was seen"),
)

FINDINGS = (
    Column("code", _STRING, "the code, see docs/findings/"),
    Column("severity", _CATEGORY, "how much it matters", categories=_values(Severity)),
    Column("title", _STRING, "what was found"),
    Column("detail", _STRING, "the evidence"),
    Column("advice", _STRING, "what to do about it"),
    Column("host_pids", ColumnType.PIDS, "the processes concerned"),
    Column("complete", _BOOL, "whether all of it was seen"),
    Column("processes", _INT32, "how many processes it concerns"),
)

TABLES: dict[str, tuple[Column, ...]] = {
    "events": EVENTS,
    "processes": PROCESSES,
    "signals": SIGNALS,
    "zombies": ZOMBIES,
    "stops": STOPS,
    "findings": FINDINGS,
}
"""Every table, by the name of the method that gives it."""

DATASET_COLUMNS = (
    Column("host", _CATEGORY, "the host's name"),
    Column("boot", _CATEGORY, "the boot's id: CLOCK_BOOTTIME counts within one boot"),
)
"""What :func:`tracer.read_dataset` puts before the columns of each table."""
