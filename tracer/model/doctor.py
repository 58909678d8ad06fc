"""What ``zomtrace doctor`` found out about this host."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tracer.model.events import HookState


class CheckState(StrEnum):
    """How a check came out. WARN costs something, FAIL means no trace."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """One thing that was looked at.

    Args:
        name: What: ``privilege``, ``BTF``, ``docker``.
        state: How it came out.
        detail: What was found.
        advice: What to do about it, or None.
        log: What the compiler and the kernel had to say; for -v.
    """

    name: str
    state: CheckState
    detail: str
    advice: str | None = None
    log: str = ""


@dataclass(frozen=True, slots=True)
class RejectedHook:
    """A better hook that cannot be used, and why."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class PlannedHook:
    """One row of the hook plan, and the better choices it could not take."""

    state: HookState
    rejected: tuple[RejectedHook, ...] = ()


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """Whether this host can be traced, and how well.

    ``hooks`` is empty where a check failed before any could be tried.
    """

    kernel: str
    machine: str
    checks: tuple[DoctorCheck, ...]
    hooks: tuple[PlannedHook, ...]

    @property
    def is_usable(self) -> bool:
        """Whether a trace would work."""
        return all(check.state is not CheckState.FAIL for check in self.checks)
