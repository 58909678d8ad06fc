"""What a cgroup's controllers say: pids, memory, freezer, level by level.

A limit holds for a cgroup and all below it, so that each level up to the top
may be the one that was reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_V1_NO_LIMIT = 1 << 60
"""Above this a v1 limit is the kernel's way of saying none."""


@dataclass(frozen=True, slots=True)
class PidsLevel:
    """The pids controller at one level.

    Args:
        path: The cgroup's directory.
        current: How many tasks are in it and below; zombies count.
        limit: pids.max; None without one.
        refused: How many forks it has counted as refused; None where the kernel
            does not count them.

    Source:
        pids.current, pids.max, pids.events (v1 and v2).
    """

    path: str
    current: int
    limit: int | None
    refused: int | None


@dataclass(frozen=True, slots=True)
class MemoryLevel:
    """The memory controller at one level.

    Args:
        path: The cgroup's directory.
        usage: Bytes charged to it and below.
        limit: In bytes; None without one.
        reached: How often this level's own limit could not be kept (v1: how often
            it was hit, reclaim or not); None where the kernel does not count it.
        peak: The most bytes ever charged; None where the kernel does not keep it.
        kills: How many processes of it an OOM killer has killed, whosever limit it
            was; None where the kernel does not count it.

    Source:
        v2: memory.current, memory.max, memory.events.local (oom), memory.peak,
        memory.events (oom_kill). v1: memory.usage_in_bytes, memory.limit_in_bytes,
        memory.failcnt and memory.memsw.failcnt, memory.max_usage_in_bytes,
        memory.oom_control (oom_kill).
    """

    path: str
    usage: int
    limit: int | None
    reached: int | None
    peak: int | None
    kills: int | None


def read_pids(directories: Sequence[str]) -> list[PidsLevel]:
    """Read the pids controller; levels that do not count, or are gone, are left out."""
    levels = []
    for path in directories:
        current = _number(_read(path, "pids.current"))
        limit = _read(path, "pids.max")
        if current is not None and limit is not None:
            refused = _keyed(_read(path, "pids.events"), "max")
            levels.append(PidsLevel(path, current, _number(limit), refused))
    return levels


def read_memory(directories: Sequence[str]) -> list[MemoryLevel]:
    """Read the memory controller; levels that do not count, or are gone, are left out."""
    levels = []
    for path in directories:
        level = _memory_v2(path) or _memory_v1(path)
        if level is not None:
            levels.append(level)
    return levels


def read_is_frozen(directories: Sequence[str]) -> bool | None:
    """Read whether a cgroup's tasks are frozen, by itself or a level above.

    Args:
        directories: Of the freezer controller, innermost first.

    Returns:
        None where the kernel has no freezer there.

    Source:
        freezer.state (v1), cgroup.events (v2).
    """
    for path in directories[:1]:
        state = _read(path, "freezer.state")
        if state is not None:
            return state.strip() != "THAWED"
        frozen = _keyed(_read(path, "cgroup.events"), "frozen")
        if frozen is not None:
            return frozen == 1
    return None


def _memory_v2(path: str) -> MemoryLevel | None:
    usage = _number(_read(path, "memory.current"))
    limit = _read(path, "memory.max")
    if usage is None or limit is None:
        return None
    return MemoryLevel(
        path,
        usage,
        _number(limit),
        _keyed(_read(path, "memory.events.local"), "oom"),
        _number(_read(path, "memory.peak")),
        _keyed(_read(path, "memory.events"), "oom_kill"),
    )


def _memory_v1(path: str) -> MemoryLevel | None:
    usage = _number(_read(path, "memory.usage_in_bytes"))
    limit = _number(_read(path, "memory.limit_in_bytes"))
    if usage is None or limit is None:
        return None
    return MemoryLevel(
        path,
        usage,
        limit if limit < _V1_NO_LIMIT else None,
        _sum(_read(path, "memory.failcnt"), _read(path, "memory.memsw.failcnt")),
        _number(_read(path, "memory.max_usage_in_bytes")),
        _keyed(_read(path, "memory.oom_control"), "oom_kill"),
    )


def _read(directory: str, name: str) -> str | None:
    try:
        # No Path: it takes a millisecond to parse what is thousands of levels deep.
        with open(f"{directory}/{name}") as file:
            return file.read()
    except OSError:
        # Gone with its container (ENODEV for an open one), or not offered here.
        return None


def _number(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isdecimal() else None


def _sum(*texts: str | None) -> int | None:
    numbers = [number for number in map(_number, texts) if number is not None]
    return sum(numbers) if numbers else None


def _keyed(text: str | None, key: str) -> int | None:
    for line in (text or "").splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return _number(value)
    return None
