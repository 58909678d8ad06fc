"""A container's part of the cgroup tree: its top, and what lies below."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import replace
from pathlib import Path

from tracer.containers.cgroup import CgroupDirectory
from tracer.containers.found import is_generated_id

_MOST = 1024
"""Cgroups of one container: as many as the kernel side can be told of."""


def top_of(cgroup: CgroupDirectory, container_id: str) -> CgroupDirectory:
    """Climb from the cgroup that a container's init is in to the container's own.

    An init like systemd moves itself into a cgroup below (``init.scope``); what
    it starts is beside that one, in the container's all the same.

    Args:
        cgroup: Its init's.
        container_id: Its id, which engines write into the cgroup's name.
    """
    innermost = Path(cgroup.path)
    is_generated = is_generated_id(container_id)
    for directory in (innermost, *innermost.parents):
        name = directory.name
        if container_id == name or (is_generated and container_id in name):
            try:
                return replace(cgroup, path=str(directory), id=directory.stat().st_ino)
            except OSError:
                # It is going away, and with it the container.
                return cgroup
    return cgroup


def ids_below(cgroup: CgroupDirectory) -> frozenset[int]:
    """List the ids of the cgroups below one, the nearest first, up to a bound.

    What vanishes meanwhile is passed over.
    """
    ids: set[int] = set()
    left = deque([cgroup.path])
    while left and len(ids) < _MOST:
        try:
            with os.scandir(left.popleft()) as entries:
                below = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
                for entry in below[: _MOST - len(ids)]:
                    ids.add(entry.inode())
                    left.append(entry.path)
        except OSError:
            continue
    return frozenset(ids)
