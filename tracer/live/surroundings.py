"""Where this process is: on the host, or in which parts in a container."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tracer.errors import UnavailableError

_INIT_NAMESPACES = {
    "ipc": 0xEFFFFFFF,
    "uts": 0xEFFFFFFE,
    "user": 0xEFFFFFFD,
    "pid": 0xEFFFFFFC,
    "cgroup": 0xEFFFFFFB,
}
"""Inodes of the initial namespaces (include/linux/proc_ns.h); net and mnt have no fixed ones."""
_MARKERS = {"/.dockerenv": "Docker", "/run/.containerenv": "podman"}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What of the host is there, and what is not.

    Args:
        own_namespaces: Kinds of namespaces that are not the host's.
        marker: Whose container the root file system says this is, or None.
        proc_is_ours: /proc shows the PID namespace of this process.
        proc_hides_others: /proc is mounted with hidepid.
        has_cgroups: A cgroup hierarchy is mounted where it should be.
    """

    own_namespaces: tuple[str, ...]
    marker: str | None
    proc_is_ours: bool
    proc_hides_others: bool
    has_cgroups: bool

    @classmethod
    def of_this_process(cls) -> Self:
        """Look around.

        Source:
            /proc/self/ns, mountinfo of this process and of PID 1, marker files.
        """
        mounts = _mounts()
        own = [kind for kind, inum in _INIT_NAMESPACES.items() if _namespace(kind) != inum]
        of_pid_1 = _root_mount("1")
        if "pid" not in own and of_pid_1 not in (None, _root_mount("self")):
            own.append("mount")
        return cls(
            own_namespaces=tuple(own),
            marker=next((who for path, who in _MARKERS.items() if os.path.exists(path)), None)
            or os.environ.get("container"),  # noqa: SIM112  what systemd-nspawn and podman set
            proc_is_ours=_proc_is_ours(),
            proc_hides_others=_hides_others(mounts.get("/proc", ("", ""))[1]),
            has_cgroups=any(
                kind in {"cgroup", "cgroup2"}
                for point, (kind, _) in mounts.items()
                if point.startswith("/sys/fs/cgroup")
            ),
        )

    @property
    def is_confined(self) -> bool:
        """Whether this is not plainly the host.

        A mount namespace alone makes no container (a service with PrivateTmp has one),
        nor does a root file system that was made for one.
        """
        own = set(self.own_namespaces)
        return bool(own - {"mount"} or (own and self.marker))


def check_pid_namespace() -> None:
    """Check that the pids the kernel reports are the ones /proc has here.

    Otherwise what is read of a process would be another one's.

    Raises:
        UnavailableError: They are not.
    """
    if _namespace("pid") != _INIT_NAMESPACES["pid"]:
        raise UnavailableError(
            "the PID namespace here is not the host's: pids here differ from the kernel's",
            hint="run zomtrace on the host, or in a container with --pid=host",
        )


def _namespace(kind: str) -> int | None:
    try:
        return os.stat(f"/proc/self/ns/{kind}").st_ino
    except OSError:
        # A kernel without this kind: all processes share it. Without /proc nothing is known.
        return _INIT_NAMESPACES[kind] if os.path.exists("/proc/self") else None


def _proc_is_ours() -> bool:
    try:
        return os.readlink("/proc/self") == str(os.getpid())
    except OSError:
        return False


def _root_mount(pid: str) -> str | None:
    """The number of the mount on /: every mount of every namespace has another one."""
    return next((words[0] for words, _ in _mountinfo(pid) if words[4] == "/"), None)


def _mounts() -> dict[str, tuple[str, str]]:
    """Mount point to file system and its options; of several on one point the last."""
    mounts = {}
    for words, after in _mountinfo("self"):
        kind, _, options = after.split(" ", 2)
        mounts[words[4]] = (kind, options)
    return mounts


def _mountinfo(pid: str) -> list[tuple[list[str], str]]:
    """The lines of a process's mountinfo, in words before the dash and text behind it."""
    try:
        raw = Path(f"/proc/{pid}/mountinfo").read_bytes()
    except OSError:
        return []
    # Only line feed and space are escaped there; the user who mounts chooses the rest.
    parted = (line.partition(" - ") for line in os.fsdecode(raw).removesuffix("\n").split("\n"))
    return [(before.split(" "), after) for before, dash, after in parted if dash]


def _hides_others(options: str) -> bool:
    # hidepid=1 and noaccess show the pid and no more; 4 (ptraceable) and 2 (invisible) nothing.
    return any(
        option.startswith("hidepid=") and option not in {"hidepid=0", "hidepid=off"}
        for option in options.split(",")
    )
