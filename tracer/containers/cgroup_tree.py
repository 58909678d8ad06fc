"""A container's part of the cgroup tree: its top cgroup and those below."""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tracer.containers.found import is_generated_id
from tracer.procfs.cgroup import CgroupDirectory, every_directory
from tracer.trust.walk import is_trusted_uid

_MOST = 1024
"""Cgroups of one container: as many as the kernel side has room for."""


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


def is_named_by_root(raw_cgroup: bytes, container_id: str) -> bool:
    """Whether a process is in a cgroup that root named after a container.

    A user with a delegated cgroup chooses the names below it, even those of other containers.
    Where no cgroup file system is mounted the name alone has to do.

    Args:
        raw_cgroup: The process's ``/proc/PID/cgroup``.
        container_id: The container's id.
    """
    if os.fsencode(container_id) not in raw_cgroup:
        return False
    is_mounted = False
    for innermost in every_directory(raw_cgroup):
        is_mounted = True
        for directory in (innermost, *innermost.parents):
            if _is_named(directory.name, container_id):
                with suppress(OSError):
                    if is_trusted_uid(directory.parent.stat().st_uid):
                        return True
    return not is_mounted


def _is_named(name: str, container_id: str) -> bool:
    # systemd's scopes: docker-ID.scope, cri-containerd-ID.scope, default-NAME.scope.
    base = name.removesuffix(".scope")
    is_whole = base == container_id or base.endswith(f"-{container_id}")
    return is_whole or (is_generated_id(container_id) and container_id in name)


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
