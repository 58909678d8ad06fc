"""Lifetimes that the kernel side folds, seen from user space: bpf/zt_lifetimes.h.

A folded lifetime emits nothing before it is over. So there is no record of a zombie that
waits for long, nor, where sched_process_free is missed, of its release. While any folded
process is dead its age is checked: the task iterator opens those that have been zombies
for too long, and a process that it does not list, twice, is gone. Where grace periods are
long and many are missing, once is enough.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tracer.kernel.maps import BpfMap
from tracer.kernel.sweep import OVERDUE_AT_LEAST, OVERDUE_NS
from tracer.wire.layout import CONSTANTS, RECORD
from tracer.wire.process_ids import Ids, is_in, process_ids

Records = npt.NDArray[np.void]

_SHORTEST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 0.5
_SHARE_OF_TIME = 20
"""A pass that takes 25 ms of CPU time is made every half second: 5 % of one CPU. Fewer passes
save nothing in a storm: what is found too late is emitted event by event."""

_FOUND_RELEASED = np.uint32(CONSTANTS["ZT_F_RELEASED"] | CONSTANTS["ZT_F_FOUND"])
_KEY = np.dtype([("start_boot_ns", "u8"), ("host_pid", "u4"), ("pad", "u4")])
_FOLDED, _DEAD, _ALIVE = 1, 2, 5
"""Indices into zt_numbers: ZT_NUMBER_* in bpf/zt_tracked.h."""

_NUMBER = struct.Struct("=q")


class FoldedLifetimes:
    """The table of folded lifetimes.

    Args:
        list_folded: Makes a pass of the iterator over the table, which writes the
            record of each folded lifetime whose process is dead (bpf/folded.c).
        lifetimes: The table, the map zt_lifetimes.
        numbers: The map zt_numbers.
        min_zombie_ns: Older zombies are opened.
        clock: Seconds, for the pauses.
        cpu_clock: Seconds of CPU time: where the CPU is shared, passes cost no more.
    """

    def __init__(
        self,
        list_folded: Callable[[], bytearray],
        lifetimes: BpfMap,
        numbers: BpfMap,
        min_zombie_ns: int,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self._list_folded = list_folded
        self._lifetimes = lifetimes
        self._numbers = numbers
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._pause_s = min(max(min_zombie_ns / 2e9, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S)
        self._next_s: float | None = None
        self._drift = 0
        self._missing: Ids = np.empty(0, np.uint64)

    @property
    def number(self) -> int:
        """How many lifetimes are in the table, at least."""
        return max(0, self._read(_FOLDED))

    @property
    def alive(self) -> int:
        """How many of them are of living processes."""
        return max(0, self._read(_ALIVE))

    @property
    def due_in_s(self) -> float | None:
        """When to call :meth:`sweep`; None: no folded process is dead."""
        if self._read(_DEAD) <= self._drift:
            self._next_s = None
            return None
        now_s = self._clock()
        if self._next_s is None:
            self._next_s = now_s + self._pause_s
        return max(0.0, self._next_s - now_s)

    def sweep(self, list_dead: Callable[[], Records], now_ns: int) -> Records:
        """Look once.

        Args:
            list_dead: Has the iterator list the dead, which opens what is too old.
            now_ns: CLOCK_BOOTTIME.

        Returns:
            LIFETIME records of those that are gone without a record of their release.
        """
        began_s = self._cpu_clock()
        dead_before = self._read(_DEAD)
        there = list_dead()
        lifetimes = self._dead()
        if not len(lifetimes):
            # The counter is too high: something was counted twice.
            self._drift = dead_before
        overdue = lifetimes[lifetimes["exit_ns"] + np.uint64(OVERDUE_NS) <= now_ns]
        gone = overdue[~is_in(_ids(overdue), np.sort(_ids(there)))]
        ids = _ids(gone)
        unreported = gone
        if len(gone) < OVERDUE_AT_LEAST:
            unreported = gone[is_in(ids, self._missing)]
        self._missing = np.sort(ids)
        closed = self._close(unreported, now_ns)
        took_s = self._cpu_clock() - began_s
        self._next_s = self._clock() + max(self._pause_s, _SHARE_OF_TIME * took_s)
        return closed

    def close_gone(self, before_ns: int, now_ns: int) -> Records:
        """Emit all that are over, once those still there have been opened.

        Args:
            before_ns: When opening them began; later exits are left alone.
            now_ns: CLOCK_BOOTTIME.
        """
        lifetimes = self._dead()
        return self._close(lifetimes[lifetimes["exit_ns"] < before_ns], now_ns)

    def _dead(self) -> Records:
        return np.frombuffer(self._list_folded(), RECORD)

    def _close(self, lifetimes: Records, now_ns: int) -> Records:
        """Emit those that could be taken out of the table; only one side succeeds."""
        keys = np.zeros(len(lifetimes), _KEY)
        for name in ("start_boot_ns", "host_pid"):
            keys[name] = lifetimes[name]
        taken = np.ones(len(lifetimes), bool)
        taken[self._lifetimes.delete_each(keys.tobytes()) if len(lifetimes) else []] = False
        closed = np.array(lifetimes[taken])
        closed["boot_ns"] = now_ns
        closed["flags"] |= _FOUND_RELEASED
        self._drift += len(closed)
        return closed

    def _read(self, which: int) -> int:
        return int(_NUMBER.unpack_from(self._numbers.memory, which * _NUMBER.size)[0])


def _ids(records: Records) -> Ids:
    return process_ids(records["host_pid"], records["start_boot_ns"])
