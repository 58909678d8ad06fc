"""Every column of every table: the one place their names and types are said.

DataFrames, Parquet, CSV and the tables of docs/pandas.md are made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tracer.model.events import Precision, SigchldAction, TeardownPhase
from tracer.model.signals import SIGRTMAX, Disposition, SignalResult, signal_name
from tracer.model.verdicts import Cause, End, ReapKind, Severity, StopOutcome, StopSignalDisposition


class ColumnType(StrEnum):
    """What a column holds, by its Arrow name; a category has fixed values."""

    INT32 = "int32"
    INT64 = "int64"
    UINT64 = "uint64"
    BOOL = "bool"
    STRING = "string"
    CATEGORY = "category"
    TIME = "timestamp[ns, UTC]"
    STRINGS = "list<string>"
    PIDS = "list<int32>"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Args:
        name: As in the JSON, where it is there.
        type: What it holds.
        meaning: What it says, unit included.
        null: What it means that it is not there; None where it always is.
        categories: Of a category, all values it can have.
        clock: Of a time, the column it is made from: CLOCK_BOOTTIME, ns.
    """

    name: str
    type: ColumnType
    meaning: str
    null: str | None = None
    categories: tuple[str, ...] = ()
    clock: str | None = None


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
_TRIGGERS = ("stop_signal", "sigkill", "cgroup_kill", "oom", "init_exit")

_INT32, _INT64, _BOOL = ColumnType.INT32, ColumnType.INT64, ColumnType.BOOL
_STRING, _CATEGORY, _TIME = ColumnType.STRING, ColumnType.CATEGORY, ColumnType.TIME
_OTHER = "another kind of event"
_NOT_KNOWN = "not known"
_NOT_REAPED = "not reaped when the trace ended"
_NO_SIGNAL = "it did not die by a signal"
_NO_SENDER = "no process sent it: the kernel did"
_RUNS = "it had not ended when the trace did"


def _time(name: str, clock: str, meaning: str, null: str | None = None) -> Column:
    return Column(name, _TIME, meaning, null, clock=clock)


_TIME_AND_CLOCK = (
    _time("time", "boot_ns", "when it happened"),
    Column("boot_ns", _INT64, "the same by CLOCK_BOOTTIME of its host, ns"),
)
_SUBJECT = (
    Column("host_pid", _INT32, "the process it is about, as the host numbers it", _OTHER),
    Column(
        "ns_pid", _INT32, "the same process in its own PID namespace", "not known, or no process"
    ),
    Column("start_boot_ns", _INT64, "its start; with host_pid it names a process for good", _OTHER),
    Column("comm", _STRING, "the name of its main thread, control characters escaped", _OTHER),
    Column("parent_host_pid", _INT32, "its parent at that moment", _NOT_KNOWN),
    Column("pidns_inum", _INT64, "its innermost PID namespace", _NOT_KNOWN),
    Column("cgroup_id", ColumnType.UINT64, "the inode of its cgroup", _NOT_KNOWN),
    Column("container_id", _STRING, "the container it is in, by its full id", "in none known"),
    Column("container_name", _STRING, "and by name", "in none known, or it has none"),
)
_SIGNAL = (
    Column("signal", _CATEGORY, "the signal", _OTHER, categories=_SIGNALS),
    Column("sender_host_pid", _INT32, "who sent it", _NO_SENDER),
    Column(
        "sender_ns_pid",
        _INT32,
        "the sender as the target's namespace sees it: 0 = outside",
        _NO_SENDER,
    ),
    Column("sender_comm", _STRING, "the sender's name", _NO_SENDER),
    Column(
        "sender_chain",
        ColumnType.STRINGS,
        "the names of the sender's ancestors, nearest first",
        _NO_SENDER,
    ),
    Column("sender_syscall", _STRING, "the system call it was sent by", "none, or not known"),
    Column(
        "trigger_host_pid",
        _INT32,
        "of a signal of the kernel's own: in whose context it was raised",
        "a process sent it",
    ),
    Column("trigger_comm", _STRING, "its name", "a process sent it"),
    Column("si_code", _INT32, "how it was raised, see sigaction(2)", "the kernel filled none in"),
    Column(
        "result",
        _CATEGORY,
        "what the kernel did with it",
        _OTHER,
        categories=_values(SignalResult),
    ),
    Column(
        "disposition",
        _CATEGORY,
        "what the target had arranged for it",
        _OTHER,
        categories=_values(Disposition),
    ),
)
_CAUSE = Column(
    "cause",
    _CATEGORY,
    "why it died, or why the signal was sent",
    "no death by signal",
    categories=_CAUSES,
)

EVENTS = (
    *_TIME_AND_CLOCK,
    Column("kind", _CATEGORY, "what happened", categories=EVENT_KINDS),
    *_SUBJECT,
    Column("exit_code", _INT32, "of an exit: its code", "died by a signal, or another kind"),
    Column(
        "term_signal",
        _CATEGORY,
        "of an exit: the signal it died by",
        "it exited, or another kind",
        categories=_SIGNALS,
    ),
    Column("core_dumped", _BOOL, "of an exit: whether it dumped core", _OTHER),
    _CAUSE,
    Column("zombie_ns", _INT64, "of a reap: how long it was a zombie, ns", _OTHER),
    Column("reap_kind", _CATEGORY, "of a reap: who released it", _OTHER, categories=_REAPS),
    Column("reaper_host_pid", _INT32, "of a reap: by pid", "another kind, or not known"),
    Column("reaper_comm", _STRING, "of a reap: by name", "another kind, or not known"),
    Column(
        "precision",
        _CATEGORY,
        "of a reap: how good zombie_ns is",
        _OTHER,
        categories=_values(Precision),
    ),
    *_SIGNAL,
    Column(
        "phase",
        _CATEGORY,
        "of a teardown: which end of it",
        _OTHER,
        categories=_values(TeardownPhase),
    ),
    Column("detail", _STRING, "the rest of what the JSON line says, as JSON", "there is no more"),
)

SIGNALS = (
    *_TIME_AND_CLOCK,
    *_SUBJECT,
    *_SIGNAL,
    Column(
        "cause",
        _CATEGORY,
        "why it was sent",
        "it kills nobody",
        categories=_CAUSES,
    ),
)

PROCESSES = (
    Column("host_pid", _INT32, "the process, as the host numbers it"),
    Column("start_boot_ns", _INT64, "its start, ns; with host_pid it names it for good"),
    Column("ns_pid", _INT32, "the process in its own PID namespace", _NOT_KNOWN),
    Column("comm", _STRING, "its last name"),
    Column("container_id", _STRING, "its container", "in none known"),
    Column("pidns_inum", _INT64, "its innermost PID namespace", _NOT_KNOWN),
    Column("parent_host_pid", _INT32, "its last parent", _NOT_KNOWN),
    Column("is_init", _BOOL, "whether it was PID 1 of a traced namespace, or a container's init"),
    _time("start_time", "start_boot_ns", "when it started"),
    _time("end_time", "end_boot_ns", "when its last thread ended", _RUNS),
    Column("end_boot_ns", _INT64, "the same by CLOCK_BOOTTIME, ns", _RUNS),
    Column("end", _CATEGORY, "how it stood at the end", categories=_values(End)),
    Column("exit_code", _INT32, "its exit code", "it died by a signal, or runs"),
    Column("term_signal", _CATEGORY, "the signal it died by", _NO_SIGNAL, categories=_SIGNALS),
    Column("core_dumped", _BOOL, "whether it dumped core"),
    Column("cause", _CATEGORY, "why it died", _NO_SIGNAL, categories=_CAUSES),
    Column("sender_host_pid", _INT32, "who sent what killed it", f"{_NO_SIGNAL}, or by the kernel"),
    Column("sender_comm", _STRING, "by name", f"{_NO_SIGNAL}, or by the kernel"),
    Column("sender_chain", ColumnType.STRINGS, "the sender's ancestors, nearest first"),
    Column("sender_syscall", _STRING, "the system call it was sent by", "none, or not known"),
    Column("trigger_host_pid", _INT32, "in whose context the kernel raised it", _NO_SIGNAL),
    Column("trigger_comm", _STRING, "by name", _NO_SIGNAL),
    _time("signal_time", "signal_boot_ns", "when the signal that killed it was sent", _NO_SIGNAL),
    Column("signal_boot_ns", _INT64, "the same by CLOCK_BOOTTIME, ns", _NO_SIGNAL),
    Column(
        "passed_on_host_pid",
        _INT32,
        "whose death by signal its exit code tells of (137, 143)",
        "nobody's, or not known",
    ),
    Column("stop_signal_seen", _BOOL, "whether it was sent its stop's signal"),
    Column(
        "stop_signal_disposition",
        _CATEGORY,
        "what it had arranged for that",
        categories=_values(StopSignalDisposition),
    ),
    Column("zombie_ns", _INT64, "how long it was a zombie, ns", "it never was, or not known"),
    Column("reap_kind", _CATEGORY, "who released it", _NOT_REAPED, categories=_REAPS),
    Column("reaper_host_pid", _INT32, "by pid", "not reaped, or not known"),
    Column("reaper_comm", _STRING, "by name", "not reaped, or not known"),
    Column("complete", _BOOL, "whether all of it was seen"),
)

ZOMBIES = (
    Column("host_pid", _INT32, "the zombie, as the host numbers it"),
    Column("ns_pid", _INT32, "the zombie in its own PID namespace", _NOT_KNOWN),
    Column("comm", _STRING, "its name"),
    Column("container_id", _STRING, "its container", "in none known"),
    Column("pidns_inum", _INT64, "its innermost PID namespace", _NOT_KNOWN),
    Column("parent_host_pid", _INT32, "who should have reaped it", _NOT_KNOWN),
    Column("parent_comm", _STRING, "by name", _NOT_KNOWN),
    Column(
        "parent_sigchld",
        _CATEGORY,
        "what that one does about SIGCHLD",
        categories=_values(SigchldAction),
    ),
    _time("begin_time", "begin_boot_ns", "when it became a zombie", _NOT_KNOWN),
    Column("begin_boot_ns", _INT64, "the same by CLOCK_BOOTTIME, ns", _NOT_KNOWN),
    Column("zombie_ns", _INT64, "how long it was one, ns", _NOT_KNOWN),
    Column("precision", _CATEGORY, "how good that is", categories=_values(Precision)),
    Column("reaped", _BOOL, "whether it was reaped before the trace ended"),
    Column("reap_kind", _CATEGORY, "who released it", _NOT_REAPED, categories=_REAPS),
    Column("reaper_host_pid", _INT32, "by pid", "not reaped, or not known"),
    Column("reaper_comm", _STRING, "by name", "not reaped, or not known"),
    Column("live_threads", _INT32, "of a leader that ended before its threads: how many run"),
    Column("injected", _BOOL, "whether its parent is outside its namespace"),
    Column("tracer_host_pid", _INT32, "who traces it, and holds it", "nobody"),
    Column("complete", _BOOL, "whether all of it was seen"),
)

_NO_STOP_SIGNAL = "no stop signal was sent"
_NO_KILL = "no SIGKILL was sent by a process"
STOPS = (
    Column("container_id", _STRING, "the container", "a namespace without one"),
    Column("container_name", _STRING, "by name", "it has none"),
    Column("pidns_inum", _INT64, "the PID namespace"),
    Column("init_host_pid", _INT32, "its init"),
    Column("init_comm", _STRING, "by name"),
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
        "what init had arranged for it",
        categories=_values(StopSignalDisposition),
    ),
    Column("stop_sender_host_pid", _INT32, "who sent it", _NO_STOP_SIGNAL),
    Column("stop_sender_comm", _STRING, "by name", _NO_STOP_SIGNAL),
    Column("stop_sender_chain", ColumnType.STRINGS, "the sender's ancestors, nearest first"),
    Column("escalated", _BOOL, "whether SIGKILL followed"),
    Column("kill_sender_comm", _STRING, "who sent SIGKILL", _NO_KILL),
    Column("kill_sender_chain", ColumnType.STRINGS, "the sender's ancestors, nearest first"),
    Column("outcome", _CATEGORY, "how it went", "under way", categories=_values(StopOutcome)),
    Column(
        "grace_ns",
        _INT64,
        "from the stop signal to SIGKILL, else to init's end, ns",
        _NO_STOP_SIGNAL,
    ),
    Column("teardown_ns", _INT64, "from init's end to its parent's notice, ns", "not over"),
    Column("duration_ns", _INT64, "from the begin to the last release, ns", "not over"),
    _time("begin_time", "begin_boot_ns", "when it began"),
    _time("kill_time", "kill_boot_ns", "when SIGKILL was sent to init", "it was not"),
    _time("init_exit_time", "init_exit_boot_ns", "when init ended", "it did not"),
    _time("end_time", "end_boot_ns", "when the last member was released", "not over"),
    Column("begin_boot_ns", _INT64, "begin_time by CLOCK_BOOTTIME, ns"),
    Column("kill_boot_ns", _INT64, "kill_time by CLOCK_BOOTTIME, ns", "it was not"),
    Column("init_exit_boot_ns", _INT64, "init_exit_time by CLOCK_BOOTTIME, ns", "it did not"),
    Column("end_boot_ns", _INT64, "end_time by CLOCK_BOOTTIME, ns", "not over"),
    Column("init_exit_code", _INT32, "init's exit code", "it died by a signal, or runs"),
    Column(
        "init_term_signal",
        _CATEGORY,
        "the signal init died by",
        "it exited, or runs",
        categories=_SIGNALS,
    ),
    Column("init_cause", _CATEGORY, "why", "it exited, or runs", categories=_CAUSES),
    Column("members", _INT32, "the processes besides init; the next five sum up to it"),
    Column("sigkilled", _INT32, "killed by SIGKILL"),
    Column("signalled", _INT32, "died by another signal"),
    Column("exited", _INT32, "exited"),
    Column("already_zombie", _INT32, "were zombies at the begin"),
    Column("survived", _INT32, "still ran at the end"),
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


def describe_table(columns: tuple[Column, ...]) -> str:
    """Write the columns as a Markdown table."""
    lines = ["| column | type | meaning | null |", "| --- | --- | --- | --- |"]
    for column in columns:
        values = ", ".join(f"`{value}`" for value in column.categories)
        if column.categories == _SIGNALS:
            values = "`SIGHUP` ... `SIGRTMIN+30`"
        meaning = f"{column.meaning}: {values}" if values else column.meaning
        lines.append(
            f"| `{column.name}` | `{column.type}` | {meaning} | {column.null or 'never'} |"
        )
    return "\n".join(lines) + "\n"
