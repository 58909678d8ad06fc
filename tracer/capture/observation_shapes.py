"""What an observation's values must be for a verdict to read them.

Those who make observations put down what they read as JSON; those who judge look for
some of it by name. Here is what must be of which type where it is there. An
observation of another source or reading, and a value of another name, may be
anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tracer.capture.typed_json import build


@dataclass(frozen=True)
class _PidsLevel:
    path: str
    current: int
    limit: int | None = None
    refused: int | None = None


@dataclass(frozen=True)
class _MemoryLevel:
    path: str
    usage: int | None = None
    limit: int | None = None
    reached: int | None = None
    peak: int | None = None
    kills: int | None = None


@dataclass(frozen=True)
class _Pids:
    levels: tuple[_PidsLevel, ...]
    container_id: str | None = None


@dataclass(frozen=True)
class _Memory:
    levels: tuple[_MemoryLevel, ...]
    container_id: str | None = None


@dataclass(frozen=True)
class _Host:
    tasks: int
    limit: int
    limit_name: str


@dataclass(frozen=True)
class _Process:
    """Anything read of one process in /proc."""

    state: str | None = None
    syscall: str | None = None
    wchan: str | None = None
    cmdline: str | None = None
    is_waiting: bool | None = None
    is_frozen: bool | None = None
    zombie_host_pids: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Thread:
    comm: str
    host_tid: int
    syscall: str | None = None
    wchan: str | None = None


@dataclass(frozen=True)
class _Threads(_Process):
    threads: tuple[_Thread, ...] = ()
    others: int | None = None


@dataclass(frozen=True)
class _HoldersParent:
    comm: str
    host_pid: int
    state: str | None = None
    syscall: str | None = None


@dataclass(frozen=True)
class _Holder(_Process):
    parent: _HoldersParent | None = None


@dataclass(frozen=True)
class _Tracer:
    host_pid: int | None = None
    comm: str | None = None


@dataclass(frozen=True)
class _Init(_Process):
    tracer: _Tracer | None = None


@dataclass(frozen=True)
class _MemberThread:
    host_tid: int
    comm: str
    state: str
    syscall: str | None = None
    wchan: str | None = None
    is_killed: bool = False


@dataclass(frozen=True)
class _Member(_Process):
    """A member of what is being stopped; by what it is judged there has to be."""

    comm: str | None = None
    exe: str | None = None
    parent_host_pid: int | None = None
    process_group: int | None = None
    signo: int | None = None
    is_ignored: bool | None = None
    is_caught: bool | None = None
    is_blocked: bool | None = None
    is_pending: bool | None = None
    freezer: str | None = None
    tracer: _Tracer | None = None
    thread_count: int = 0
    threads: tuple[_MemberThread, ...] = ()
    raw_wait_status: int | None = None
    left: int | None = None


@dataclass(frozen=True)
class _Engine:
    container_id: str | None = None
    action: str | None = None
    error: str | None = None
    exit_code: int | None = None


_CGROUP: dict[object, type[object]] = {"pids": _Pids, "memory": _Memory}
_PROC: dict[object, type[object]] = {
    "host": _Host,
    "threads": _Threads,
    "holder": _Holder,
    "init": _Init,
    "member": _Member,
}


def check_observation(source: str, values: Mapping[str, Any]) -> None:
    """Check what was observed.

    Raises:
        KeyError: Something is missing that is needed.
        TypeError: Something is of another type.
        ValueError: Something is out of bounds.
    """
    selector = values.get("controller" if source == "cgroup" else "reading")
    if not isinstance(selector, str | None):
        raise TypeError("the name of a reading is not a string")
    shape: type[object]
    if source == "cgroup":
        shape = _CGROUP.get(selector, _Engine)
    elif source == "proc":
        shape = _PROC.get(selector, _Process)
    else:
        shape = _Engine
    build(shape, dict(values), source)
