"""Ordinary lives in capture files, found before anything is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tracer.session.life_rows import COLUMNS, Rows
from tracer.session.ordinary_lives import Sieve, sift
from tracer.session.selection import KnownContainers
from tracer.wire.capture_reader import CaptureReader


def find_ordinary_lives(paths: Sequence[Path], min_zombie_ns: int) -> Sieve | None:
    """Find the ordinary lives in the files of one trace of a host.

    Returns:
        None where a container shares the host's namespace: who is in it is told by
        cgroup, not by these columns.

    Raises:
        CaptureError: A file is corrupt; it says where.
    """
    rows, containers = Rows(), KnownContainers()
    for path in paths:
        with CaptureReader(path) as reader:
            for item in reader.columns(COLUMNS):
                if isinstance(item, dict):
                    rows.add(item)
                else:
                    containers.note(item)
    if not all(container.has_own_pidns for container in containers):
        return None
    if not rows.parts:
        return Sieve(np.zeros(0, np.uint64), {}, 0)
    return sift(rows, min_zombie_ns, None)
