"""What the runtimes say of containers, before /proc has confirmed it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from tracer.trust.users import user_label

RUNTIME_RANK = {"docker": 0, "podman": 1, "cri": 2, "containerd": 3, "runc": 4, "crun": 4}
"""Higher levels first: Docker's containers are containerd's and runc's as well."""

_NAME = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]{0,254}")
"""What all runtimes together allow in ids and names (runc: the most)."""
_POD = re.compile(r"[a-z0-9.-]{1,253}/[a-z0-9.-]{1,253}")
_SHOWN = 100
_LONGEST_REASON = 1000
_LONGEST_GRACE_S = 30 * 86400


@dataclass(frozen=True, slots=True)
class FoundContainer:
    """A container as one runtime reports it.

    Args:
        id: The full id.
        names: What people may call it, the best first.
        runtime: One of :data:`RUNTIME_RANK`.
        engine_address: See :class:`tracer.model.target.Container`.
        engine_namespace: Likewise.
        state: The runtime's word: ``running``, ``paused``, ``created``, ``exited`` ...
        init_host_pid: Its init, or None where it has none or it is unknown.
        init_start_ticks: Its start as /proc counts, or None; exact, so that a
            reused pid is found out.
        started_unix_s: Its start by the wall clock, or None.
        stop_signo: The configured stop signal, or None.
        stop_timeout_s: The grace the runtime gives by default, or None.
        pod: Kubernetes namespace/name, or None.
        owner_uid: The user whose runtime reported this; it is believed of that
            user's processes only. None: root's word, or our own.
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
    owner_uid: int | None = None

    @property
    def label(self) -> str:
        """How to write it where several are listed: ``web (docker 3f2a..., user alice's)``."""
        short_id = self.id[:12] if is_generated_id(self.id) else self.id[:_SHOWN]
        name = self.names[0][:_SHOWN] if self.names else short_id
        facts = [self.runtime if name == short_id else f"{self.runtime} {short_id}"]
        if self.pod:
            facts.append(f"pod {self.pod}")
        if self.owner_uid is not None:
            facts.append(f"{user_label(self.owner_uid)}'s")
        return f"{name} ({', '.join(facts)})"


@dataclass(frozen=True, slots=True)
class UnreachableEngine:
    """An engine that is there and could not be asked.

    Args:
        address: Its socket or URL.
        reason: Why not, as the system said it.
        hint: What to do about it, or None.
        owner_uid: The user whose engine it is, None for root's.
    """

    address: str
    reason: str
    hint: str | None = None
    owner_uid: int | None = None

    @property
    def label(self) -> str:
        """How to write it in a message."""
        whose = "" if self.owner_uid is None else f" ({user_label(self.owner_uid)}'s)"
        return f"{self.address[:_SHOWN]}{whose}: {self.reason[:_LONGEST_REASON]}"


def is_generated_id(container_id: str) -> bool:
    """Whether an engine made this id up; else a human chose it, and it is a name too."""
    return re.fullmatch(r"[0-9a-f]{32,64}", container_id) is not None


def is_sayable(name: str) -> bool:
    """Whether a container can have this name: else it could not be asked for, or printed."""
    return _NAME.fullmatch(name) is not None


def believable(found: Iterable[FoundContainer]) -> Iterator[FoundContainer]:
    """Keep what a container can be; ids, names and pods that none can have go."""
    for one in found:
        if one.runtime not in RUNTIME_RANK or not is_sayable(one.id):
            continue
        grace_s = one.stop_timeout_s
        yield replace(
            one,
            names=tuple(name for name in one.names if is_sayable(name)),
            pod=one.pod if one.pod is not None and _POD.fullmatch(one.pod) else None,
            stop_timeout_s=(
                grace_s if grace_s is not None and 0 <= grace_s <= _LONGEST_GRACE_S else None
            ),
        )


def merge_found(found: Iterable[FoundContainer]) -> list[FoundContainer]:
    """Merge what several runtimes report of the same container.

    The highest level is kept; what it does not know (the exact start of init) is
    taken from the lower ones, where they speak of the same process. What one user
    says adds nothing to what another, or root, says.
    """
    merged: dict[tuple[int | None, str], FoundContainer] = {}
    for container in sorted(found, key=lambda one: RUNTIME_RANK[one.runtime]):
        key = (container.owner_uid, container.id)
        kept = merged.get(key)
        if kept is None:
            merged[key] = container
        elif kept.init_host_pid in (None, container.init_host_pid):
            merged[key] = replace(
                kept,
                init_host_pid=container.init_host_pid,
                init_start_ticks=kept.init_start_ticks or container.init_start_ticks,
                stop_signo=kept.stop_signo or container.stop_signo,
            )
    return list(merged.values())
