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


class ExitCodeOrigin(StrEnum):
    """Where an exit code of 128 + N, which looks like a death by signal N, came from."""

    PASSED_ON = "passed_on"
    """A child died of N, was reaped, and the code passes that on, as shells do."""
    HANDLED_SIGNAL = "handled_signal"
    """It was sent N, had a handler for it, and chose the code itself."""
    UNKNOWN = "unknown"
    """Neither was seen."""


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
            "PID 1 has no handler, so the kernel dropped the stop signal",
        ),
        FindingKind(
            "ZT102",
            "init-does-not-forward",
            Severity.ERROR,
            "PID 1 exited without forwarding the stop signal; other processes got SIGKILL",
        ),
        FindingKind(
            "ZT103",
            "grace-expired",
            Severity.ERROR,
            "the grace period expired and SIGKILL followed",
        ),
        FindingKind("ZT104", "killed-by-oom", Severity.ERROR, "the OOM killer killed a process"),
        FindingKind(
            "ZT105", "killed-by-cgroup", Severity.WARNING, "a process wrote to cgroup.kill"
        ),
        FindingKind(
            "ZT106", "killed-by-process", Severity.WARNING, "another process sent a fatal signal"
        ),
        FindingKind(
            "ZT107", "teardown-blocked", Severity.ERROR, "namespace teardown waited over 1 s"
        ),
        FindingKind(
            "ZT108",
            "init-does-not-wait",
            Severity.ERROR,
            "PID 1 forwarded the stop signal but exited before the processes that handled it",
        ),
        FindingKind(
            "ZT109",
            "group-signal-cut-off",
            Severity.WARNING,
            "a signal to the whole process group killed workers whose parent handles it",
        ),
        FindingKind(
            "ZT110",
            "signal-dropped-at-init",
            Severity.WARNING,
            "PID 1 has no handler for a signal, so the kernel dropped it (not the stop signal)",
        ),
        FindingKind(
            "ZT201",
            "zombie-leak",
            Severity.ERROR,
            "a running parent does not wait for its exited children",
        ),
        FindingKind(
            "ZT202", "init-does-not-reap", Severity.ERROR, "orphans handed to PID 1 remain zombies"
        ),
        FindingKind(
            "ZT203",
            "zombie-leader",
            Severity.WARNING,
            "the main thread exited while other threads run",
        ),
        FindingKind("ZT204", "late-reap", Severity.WARNING, "reaped, but later than --min-zombie"),
        FindingKind(
            "ZT205",
            "injected-zombie",
            Severity.WARNING,
            "an injected process (docker exec) or its orphan remained a zombie",
        ),
        FindingKind("ZT301", "pids-near-limit", Severity.WARNING, "zombies fill the pids limit"),
        FindingKind("ZT302", "fork-failed", Severity.ERROR, "a fork failed: no free pid or memory"),
        FindingKind(
            "ZT901", "events-lost", Severity.WARNING, "events were lost; results are incomplete"
        ),
    )
}
"""Every finding code there is. The codes and names are contract."""

_SIGNALS = frozenset({"signal"})
_RESTS_ON: dict[str, frozenset[str]] = {
    **dict.fromkeys(
        ("ZT101", "ZT102", "ZT103", "ZT105", "ZT106", "ZT108", "ZT109", "ZT110"), _SIGNALS
    ),
    "ZT104": frozenset({"signal", "oom"}),
    "ZT107": frozenset({"signal", "teardown_end"}),
    # Who had to reap a zombie, and for how long, the kernel says by SIGCHLD.
    **dict.fromkeys(("ZT201", "ZT202", "ZT204", "ZT205"), _SIGNALS),
}
"""The kinds of record without which a finding is none."""


def unreportable(unseen_kinds: frozenset[str]) -> tuple[str, ...]:
    """The codes of findings that cannot be reported where some kinds of record are never seen."""
    return tuple(sorted(code for code, kinds in _RESTS_ON.items() if kinds & unseen_kinds))
