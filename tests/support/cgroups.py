"""Where this host has its cgroups, and one for a test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.waiting import wait_for


def cgroup_root(controller: str | None) -> Path | None:
    """Where cgroup v2 is mounted, or the v1 hierarchy of a controller."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount_point, kind, options, *_ = line.split()
        if kind == ("cgroup2" if controller is None else "cgroup") and (
            controller is None or controller in options.split(",")
        ):
            return Path(mount_point)
    return None


@contextmanager
def a_cgroup(root: Path) -> Iterator[Path]:
    """A cgroup with another one, ``inner``, in it; removed once both are empty."""
    path = root / f"zt-source-{os.getpid()}"
    inner = path / "inner"
    inner.mkdir(parents=True)
    try:
        yield path
    finally:
        wait_for(lambda: _removed(inner) and _removed(path), f"{path} is empty")


def _removed(path: Path) -> bool:
    try:
        path.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
