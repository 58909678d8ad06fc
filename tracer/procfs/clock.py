"""The clock the kernel stamps records with: the one place where it is read."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from tracer.procfs.process import monotonic_offset_ns, timens_offset_ns

BootClock = Callable[[], int]
"""Reads CLOCK_BOOTTIME of the initial time namespace, ns."""


class Clock(Protocol):
    """What a trace reads the time from; this module is one."""

    def boot_now_ns(self) -> int:
        """Read CLOCK_BOOTTIME of the initial time namespace, ns."""

    def utc_offset_ns(self) -> int:
        """Return what to add to CLOCK_BOOTTIME for UTC since 1970, ns."""


def boot_now_ns() -> int:
    """Read the clock of ``bpf_ktime_get_boot_ns``.

    Units:
        CLOCK_BOOTTIME of the initial time namespace, ns.
    """
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - timens_offset_ns()


def boot_minus_mono_ns() -> int:
    """Return what to add to the kernel's CLOCK_MONOTONIC for CLOCK_BOOTTIME.

    Units:
        ns; grows by the time that the machine was suspended, and only by that.
    """
    before = time.monotonic_ns()
    boot_ns = boot_now_ns()
    after = time.monotonic_ns()
    return boot_ns - (before + after) // 2 + monotonic_offset_ns()


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
