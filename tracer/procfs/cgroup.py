"""Cgroup directories: which one a process is in, and the id the kernel gives it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tracer.errors import TargetNotFoundError
from tracer.procfs.status import parse_cgroup

V2 = "v2"
_V1_PREFERENCE = ("pids", "memory", "cpu", "cpuacct", "freezer", "devices", "name=systemd")
_MOUNTINFO = Path("/proc/self/mountinfo")
_MOST_OUTER = 28
_MOST_INNER = 4
"""Of the levels of one cgroup: who owns one can make another in it, two thousand deep. It takes
milliseconds to walk so far."""


@dataclass(frozen=True, slots=True)
class CgroupDirectory:
    """A cgroup.

    Args:
        path: Its directory.
        id: That directory's inode: the id the kernel uses.
        hierarchy: ``v2``, or the v1 controller whose hierarchy it is in.
    """

    path: str
    id: int
    hierarchy: str


@dataclass(frozen=True, slots=True)
class _Mount:
    hierarchies: tuple[str, ...]
    root: str
    mount_point: str
    device: int


def find_cgroup(raw_cgroup: bytes) -> CgroupDirectory | None:
    """Find the cgroup that distinguishes a process from others.

    The v2 hierarchy's if that has one below the root, else a v1 controller's.

    Args:
        raw_cgroup: Its ``/proc/PID/cgroup``.

    Returns:
        The cgroup; None where the process is in the root of each, which it
        shares with the whole host, or where none is mounted here.
    """
    paths = parse_cgroup(raw_cgroup)
    mounts = _mounts()
    for hierarchy, key in ((V2, ""), *((name, name) for name in _V1_PREFERENCE)):
        path = paths.get(key)
        if path is None or path == "/":
            continue
        for mount in mounts:
            if hierarchy in mount.hierarchies:
                found = _below(mount, path, hierarchy)
                if found is not None:
                    return found
    return None


def every_directory(raw_cgroup: bytes) -> Iterator[Path]:
    """The directories of a process's cgroups, in each hierarchy that is mounted here.

    Args:
        raw_cgroup: Its ``/proc/PID/cgroup``.
    """
    mounts = _mounts()
    for key, path in parse_cgroup(raw_cgroup).items():
        hierarchy = key or V2
        for mount in mounts:
            found = _below(mount, path, hierarchy) if hierarchy in mount.hierarchies else None
            if found is not None:
                yield Path(found.path)
                break


def controller_directories(raw_cgroup: bytes, controller: str) -> tuple[str, ...]:
    """Name the directories in which a controller counts a process, innermost first.

    Args:
        raw_cgroup: Its ``/proc/PID/cgroup``.
        controller: ``pids``, ``memory``, ...: its own v1 hierarchy, else v2.

    Returns:
        Up to the mount's top; of very many levels the innermost and the outermost.
        Empty where nothing of it is mounted here.
    """
    paths = parse_cgroup(raw_cgroup)
    hierarchy, key = (controller, controller) if controller in paths else (V2, "")
    path = paths.get(key)
    if path is None:
        return ()
    for mount in _mounts():
        if hierarchy not in mount.hierarchies:
            continue
        found = _below(mount, path, hierarchy)
        if found is not None:
            return _levels(mount.mount_point.rstrip("/"), found.path)
    return ()


def _levels(top: str, innermost: str) -> tuple[str, ...]:
    parts = [part for part in innermost.removeprefix(top).split("/") if part]
    depths: Sequence[int] = range(len(parts), -1, -1)
    if len(depths) > _MOST_INNER + _MOST_OUTER:
        depths = (*depths[:_MOST_INNER], *depths[-_MOST_OUTER:])
    return tuple("/".join((top, *parts[:depth])) or "/" for depth in depths)


def resolve_cgroup(path: str) -> CgroupDirectory:
    """Find the cgroup a user names.

    Args:
        path: A directory, or a path below a cgroup mount as ``/proc/PID/cgroup``
            prints it, with or without its first slash.

    Raises:
        TargetNotFoundError: There is no such cgroup.
    """
    mounts = _mounts()
    relative = path.lstrip("/")
    candidates = [Path(path)] if path.startswith("/") else []
    # Below the common parent of v1 mounts too: pids/docker/ID.
    tops = [Path(mount.mount_point) for mount in mounts]
    candidates += [top / relative for top in [*tops, *dict.fromkeys(top.parent for top in tops)]]
    if "\0" not in path:
        for candidate in candidates:
            found = _as_cgroup(candidate, mounts)
            if found is not None:
                return found
    raise TargetNotFoundError(
        f"no such cgroup: {path!r}",
        hint="give a directory under /sys/fs/cgroup, or a path as /proc/PID/cgroup prints it",
    )


def _as_cgroup(path: Path, mounts: list[_Mount]) -> CgroupDirectory | None:
    try:
        resolved = path.resolve(strict=True)
        facts = resolved.stat()
    except (OSError, RuntimeError):
        return None
    if not resolved.is_dir():
        return None
    for mount in mounts:
        if mount.device == facts.st_dev:
            hierarchy = V2 if V2 in mount.hierarchies else mount.hierarchies[0]
            return CgroupDirectory(str(resolved), facts.st_ino, hierarchy)
    return None


def _below(mount: _Mount, path: str, hierarchy: str) -> CgroupDirectory | None:
    root = mount.root.rstrip("/")
    if not f"{path}/".startswith(f"{root}/") or "/../" in f"{path}/":
        return None
    directory = mount.mount_point.rstrip("/") + path[len(root) :]
    try:
        return CgroupDirectory(directory, os.stat(directory).st_ino, hierarchy)
    except OSError:
        return None


def _mounts() -> list[_Mount]:
    mounts = []
    # Only line feed and space are escaped there; the user who mounts chooses the rest.
    for line in os.fsdecode(_MOUNTINFO.read_bytes()).removesuffix("\n").split("\n"):
        fields, _, rest = line.partition(" - ")
        kind, _, options = rest.split(" ", 2)
        if kind == "cgroup2":
            hierarchies: tuple[str, ...] = (V2,)
        elif kind == "cgroup":
            hierarchies = tuple(
                name for name in options.split(",") if name in _V1_PREFERENCE
            ) or tuple(options.split(",")[-1:])
        else:
            continue
        _, _, device, root, mount_point, *_ = fields.split(" ")
        major, minor = device.split(":")
        mounts.append(
            _Mount(hierarchies, root, _unescape(mount_point), os.makedev(int(major), int(minor)))
        )
    return mounts


def _unescape(text: str) -> str:
    # mountinfo writes space, tab, newline and backslash in octal.
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
