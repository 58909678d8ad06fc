"""What of the runtimes' is kept from this process, and for want of which capability."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from tracer.containers.paths import RuntimePaths
from tracer.model.rights import Right, held_capabilities, names
from tracer.trust.walk import walk


def lacks(right: Right) -> str | None:
    """Name the capabilities a right lacks, or None."""
    status = Path("/proc/self/status").read_text()
    lacking = right.missing(held_capabilities(status, os.stat("/proc/self/ns/user").st_ino))
    return names(lacking) if lacking else None


def unreadable(paths: RuntimePaths) -> list[Path]:
    """State directories of root's runtimes (and our own) that may not be listed."""
    directories = [
        *(root.path for root in paths.oci_roots if root.owner_uid is None),
        *(containerd.state_dir for containerd in paths.containerds),
    ]
    return [
        path
        for path in dict.fromkeys(directories)
        if _is_there(path, stat.S_ISDIR, lacking=os.R_OK | os.X_OK)
    ]


def closed_sockets(paths: RuntimePaths) -> list[Path]:
    """Sockets of engines that are there and may not be connected to."""
    return [
        path
        for path in dict.fromkeys(paths.docker_sockets)
        if _is_there(path, stat.S_ISSOCK, lacking=os.W_OK)
    ]


def present(paths: RuntimePaths) -> list[Path]:
    """Sockets and state directories of runtimes that are there at all."""
    return [
        path
        for path in (
            *paths.docker_sockets,
            *(containerd.state_dir for containerd in paths.containerds),
            *(root.path for root in paths.oci_roots),
        )
        if _is_there(path)
    ]


def _is_there(
    path: Path, is_kind: Callable[[int], bool] | None = None, *, lacking: int | None = None
) -> bool:
    """Look by descriptor: a link or a file system of another user's could keep us waiting.

    Args:
        path: Where.
        is_kind: What it has to be.
        lacking: Permissions of which one has to be missing.
    """
    try:
        with walk(path) as found:
            if is_kind is not None and not is_kind(found.facts.st_mode):
                return False
            return lacking is None or not os.access(found.open_path, lacking, effective_ids=True)
    except (OSError, ValueError):
        # A directory above is closed, or it cannot be trusted: as if it were not there.
        return False
