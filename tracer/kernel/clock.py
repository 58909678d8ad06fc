"""The clock the kernel stamps records with."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path


@cache
def _namespace_offset_ns() -> int:
    """How far this process's time namespace shifts CLOCK_BOOTTIME.

    Source:
        /proc/self/timens_offsets; absent where the kernel has no time namespaces.
    """
    try:
        text = Path("/proc/self/timens_offsets").read_text()
    except FileNotFoundError:
        return 0
    for line in text.splitlines():
        name, seconds, nanoseconds = line.split()
        if name in {"boottime", "7"}:
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return 0


def boot_now_ns() -> int:
    """Read the clock of ``bpf_ktime_get_boot_ns``.

    Units:
        CLOCK_BOOTTIME of the initial time namespace, ns.
    """
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - _namespace_offset_ns()


def utc_offset_ns() -> int:
    """Return what to add to a record's ``boot_ns`` for UTC since 1970.

    Units:
        CLOCK_REALTIME minus CLOCK_BOOTTIME, ns, good to about a microsecond.
    """
    best = None
    for _ in range(3):
        before = boot_now_ns()
        realtime = time.clock_gettime_ns(time.CLOCK_REALTIME)
        after = boot_now_ns()
        if best is None or after - before < best[0]:
            best = (after - before, realtime - (before + after) // 2)
    assert best is not None  # noqa: S101
    return best[1]
