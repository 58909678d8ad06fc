"""What the runtimes say of containers, before /proc has confirmed it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

RUNTIME_RANK = {"docker": 0, "podman": 1, "cri": 2, "containerd": 3, "runc": 4, "crun": 4}
"""Higher levels first: Docker's containers are containerd's and runc's as well."""


@dataclass(frozen=True, slots=True)
class FoundContainer:
    """A container as one runtime tells of it.

    Args:
        id: The full id.
        names: What people may call it, the best first.
        runtime: One of :data:`RUNTIME_RANK`.
        engine_address: See :class:`tracer.model.target.Container`.
        engine_namespace: Likewise.
        state: The runtime's word: ``running``, ``paused``, ``created``, ``exited`` ...
        init_host_pid: Its init, or None where it has none or is not told.
        init_start_ticks: Its start as /proc counts, or None; exact, so that a
            reused pid is found out.
        started_unix_s: Its start by the wall clock, or None.
        stop_signo: The configured stop signal, or None.
        stop_timeout_s: The grace the runtime gives by default, or None.
        pod: Kubernetes namespace/name, or None.
    """

    id: str
    names: tuple[str, ...]
    runtime: str
    engine_address: str
    engine_namespace: str | None = None
    state: str = "running"
    init_host_pid: int | None = None
    init_start_ticks: int | None = None
    started_unix_s: float | None = None
    stop_signo: int | None = None
    stop_timeout_s: float | None = None
    pod: str | None = None

    @property
    def label(self) -> str:
        """How to write it where several are listed: ``web (docker 3f2a...)``."""
        short_id = self.id[:12] if is_generated_id(self.id) else self.id
        name = self.names[0] if self.names else short_id
        where = self.runtime if name == short_id else f"{self.runtime} {short_id}"
        return f"{name} ({where}, pod {self.pod})" if self.pod else f"{name} ({where})"


@dataclass(frozen=True, slots=True)
class UnreachableEngine:
    """An engine that is there and could not be asked.

    Args:
        address: Its socket or URL.
        reason: Why not, as the system said it.
        hint: What to do about it, or None.
    """

    address: str
    reason: str
    hint: str | None = None


def is_generated_id(container_id: str) -> bool:
    """Whether an engine made this id up; else a human chose it, and it is a name too."""
    return re.fullmatch(r"[0-9a-f]{32,64}", container_id) is not None


def merge_found(found: Iterable[FoundContainer]) -> list[FoundContainer]:
    """Make one of what several runtimes tell of the same container.

    The highest level is kept; what it does not know (the exact start of init) is
    taken from the lower ones, where they speak of the same process.
    """
    merged: dict[str, FoundContainer] = {}
    for container in sorted(found, key=lambda one: RUNTIME_RANK[one.runtime]):
        kept = merged.get(container.id)
        if kept is None:
            merged[container.id] = container
        elif kept.init_host_pid in (None, container.init_host_pid):
            merged[container.id] = replace(
                kept,
                init_host_pid=container.init_host_pid,
                init_start_ticks=kept.init_start_ticks or container.init_start_ticks,
                stop_signo=kept.stop_signo or container.stop_signo,
            )
    return list(merged.values())
