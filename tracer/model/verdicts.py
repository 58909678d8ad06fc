"""What was concluded: causes, reap kinds, findings. Names are contract."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """Why a process died by a signal, or why a signal was sent."""

    PIDNS_TEARDOWN = "pidns_teardown"
    STOP_SIGNAL = "stop_signal"
    GRACE_EXPIRED = "grace_expired"
    RUNTIME_KILL = "runtime_kill"
    OOM = "oom"
    CGROUP_KILL = "cgroup_kill"
    KILL = "kill"
    SELF = "self"
    PARENT_DEATH = "parent_death"
    TRACER_EXIT = "tracer_exit"
    RLIMIT_CPU = "rlimit_cpu"
    FAULT = "fault"
    SECCOMP = "seccomp"
    TERMINAL = "terminal"
    UNKNOWN = "unknown"


class ReapKind(StrEnum):
    """Who released a zombie, by precedence."""

    TEARDOWN = "teardown"
    AUTO = "auto"
    ADOPTER = "adopter"
    PARENT = "parent"
    UNKNOWN = "unknown"


class End(StrEnum):
    """How a process stood at the end of the trace."""

    EXIT = "exit"
    SIGNAL = "signal"
    RUNNING = "running"


class StopOutcome(StrEnum):
    """How a stop went; a stop still under way at the end has none (None)."""

    STOPPED = "stopped"
    SURVIVED = "survived"


class StopSignalDisposition(StrEnum):
    """What a process did about the stop's signal."""

    CAUGHT = "caught"
    DEFAULT = "default"
    IGNORED = "ignored"
    BLOCKED = "blocked"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class FindingKind:
    """A finding's code, its name and what it means in one line."""

    code: str
    name: str
    severity: Severity
    meaning: str


FINDING_KINDS: dict[str, FindingKind] = {
    kind.code: kind
    for kind in (
        FindingKind(
            "ZT101",
            "init-drops-stop-signal",
            Severity.ERROR,
            "PID 1 has no handler, the kernel dropped the stop signal",
        ),
        FindingKind(
            "ZT102",
            "init-does-not-forward",
            Severity.ERROR,
            "PID 1 ended without passing the stop signal on; others got SIGKILL",
        ),
        FindingKind(
            "ZT103",
            "grace-expired",
            Severity.ERROR,
            "the runtime's grace ran out, SIGKILL followed",
        ),
        FindingKind("ZT104", "killed-by-oom", Severity.ERROR, "the OOM killer chose a process"),
        FindingKind("ZT105", "killed-by-cgroup", Severity.WARNING, "cgroup.kill was written"),
        FindingKind(
            "ZT106", "killed-by-process", Severity.WARNING, "another process sent a fatal signal"
        ),
        FindingKind(
            "ZT107", "teardown-blocked", Severity.ERROR, "the namespace's teardown waited over 1 s"
        ),
        FindingKind(
            "ZT201",
            "zombie-leak",
            Severity.ERROR,
            "a live parent does not wait for its dead children",
        ),
        FindingKind(
            "ZT202", "init-does-not-reap", Severity.ERROR, "orphans handed to PID 1 stay zombies"
        ),
        FindingKind(
            "ZT203", "zombie-leader", Severity.WARNING, "the leader exited, other threads live"
        ),
        FindingKind("ZT204", "late-reap", Severity.WARNING, "reaped, but later than --min-zombie"),
        FindingKind(
            "ZT205",
            "injected-zombie",
            Severity.WARNING,
            "an exec'd-in process or its orphan left as a zombie",
        ),
        FindingKind("ZT301", "pids-near-limit", Severity.WARNING, "zombies fill the pids limit"),
        FindingKind("ZT302", "fork-failed", Severity.ERROR, "a fork failed for want of pids"),
        FindingKind("ZT901", "events-lost", Severity.WARNING, "what the picture lacks"),
    )
}
"""Every finding code there is. The codes and names are contract."""
