"""Finding out that a zombie is gone when the kernel did not say so.

sched_process_free comes from an RCU callback: mostly within 25 ms, now and then
after two seconds, and not at all where the ring was full or where a program is
not run in whatever context the callback interrupts. A release that is missed
would make a zombie of a process for ever. So, while something is dead and not
known to be released, the task iterator lists the dead that are there, and what
is not among them is gone: a FREE record is made for it here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tracer.wire.layout import CONSTANTS, RECORD, join_records, put_records, take_records
from tracer.wire.process_ids import Ids, is_in, process_ids

Records = npt.NDArray[np.void]

SHORTEST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 1.0
SHARE_OF_TIME = 50
"""A pass that takes 1 ms is made every 50 ms at most: 2 % of one CPU."""

SIGHTINGS_BEFORE_RELEASE = 2
"""A pass later the kernel's own record is there in nearly every case, and has more
in it: the last parent."""
OVERDUE_NS = 300_000_000
OVERDUE_AT_LEAST = 64
"""Where so many are not there so long after their end, grace periods are long, and once is
enough. In a storm on every processor they are seconds, and all would look like zombies."""

_TRACKED_KEY = np.dtype([("start_boot_ns", "u8"), ("host_pid", "u4"), ("pad", "u4")])
_DEAD = CONSTANTS["ZT_F_GROUP_DEAD"]
_EXIT = CONSTANTS["ZT_KIND_EXIT"]
_FREE = CONSTANTS["ZT_KIND_FREE"]
_REAP = CONSTANTS["ZT_KIND_REAP"]
_LIFETIME = CONSTANTS["ZT_KIND_LIFETIME"]
_RELEASED = CONSTANTS["ZT_F_RELEASED"]
_PROCESS = CONSTANTS["ZT_KIND_PROCESS"]


class ReleaseSweep:
    """Keeps the dead whose release is not known, and looks whether they are there.

    Args:
        list_dead: Lists the dead of the target, as PROCESS records.
        forget: Takes processes (keys of the map zt_tracked, one behind the other) from
            the kernel side, and says which of them, by position, were not there. Of
            the others the kernel will emit nothing more.
        clock: Seconds, for the pauses.
    """

    def __init__(
        self,
        list_dead: Callable[[], Records],
        forget: Callable[[bytes], list[int]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._list_dead = list_dead
        self._forget = forget
        self._clock = clock
        self._dead = np.empty(0, RECORD)
        self._misses = np.empty(0, np.int64)
        self._new_dead: list[Records] = []
        self._new_released: list[Ids] = []
        self._pause_s = SHORTEST_PAUSE_S
        self._next_s = 0.0

    def observe(self, batch: Records, *, are_listed: bool = False) -> None:
        """Note what the ring or the seed reported.

        Args:
            batch: The records.
            are_listed: The iterator opened the lifetimes among them, and saw the
                processes. A hook also opens one that is over: its number is used again.
        """
        kinds = batch["kind"].copy()
        flags = batch["flags"]
        is_over = (kinds == _LIFETIME) & ((flags & _RELEASED) != 0)
        begins = np.flatnonzero(
            ((kinds == _EXIT) | (kinds == _PROCESS) | (kinds == _LIFETIME))
            & ((flags & _DEAD) != 0)
            & ~is_over
        )
        ends = np.flatnonzero((kinds == _FREE) | (kinds == _REAP))
        if not len(begins) and (not len(ends) or not self.is_pending):
            return
        released = _identities(batch, ends)
        if len(begins) and len(ends):
            # Most are dead and gone within one batch: nothing of them is kept.
            begins = begins[~is_in(_identities(batch, begins), np.sort(released))]
        has_begun = bool(len(begins))
        if not has_begun and not self.is_pending:
            return
        if not self.is_pending or has_begun:
            self._pause_s = SHORTEST_PAUSE_S
            self._next_s = min(self._next_s, self._clock() + self._pause_s)
            if not self.is_pending:
                self._next_s = self._clock() + self._pause_s
        if has_begun:
            dead = take_records(batch, begins)
            if not are_listed:
                is_opened = dead["kind"] == _LIFETIME
                dead["boot_ns"][is_opened] = np.maximum(dead["exit_ns"], dead["notified_ns"])[
                    is_opened
                ]
            self._new_dead.append(dead)
        self._new_released.append(released)

    @property
    def is_pending(self) -> bool:
        """Whether something is dead and not known to be released."""
        return bool(len(self._dead) or self._new_dead or self._new_released)

    @property
    def due_in_s(self) -> float | None:
        """When to call :meth:`sweep` next; None: nothing is dead."""
        return max(0.0, self._next_s - self._clock()) if self.is_pending else None

    @property
    def seen_dead(self) -> Records:
        """Those that the last pass saw, or that have died since."""
        self._take_over()
        seen: Records = self._dead[self._misses == 0]
        return seen

    def sweep(self, now_ns: int, *, is_last: bool = False) -> Records:
        """Look once; call after draining the ring.

        Args:
            now_ns: CLOCK_BOOTTIME: the time the records made here will bear.
            is_last: There will be no later pass: one sighting must do.

        Returns:
            FREE records for those that are gone without a record of their release:
            what was last seen of them, the last parent included, and when that was
            (in ``cur_start_boot_ns``).
        """
        self._take_over()
        if len(self._dead) == 0:
            return self._dead
        began_s = self._clock()
        there = self._list_dead()
        ours, theirs = _identities(self._dead), _identities(there)
        order = np.argsort(theirs)
        if len(theirs):
            at = np.minimum(np.searchsorted(theirs[order], ours), len(theirs) - 1)
            is_there = theirs[order][at] == ours
            put_records(self._dead, is_there, take_records(there, order[at[is_there]]))
        else:
            is_there = np.zeros(len(ours), bool)
        self._misses = np.where(is_there, 0, self._misses + 1)
        enough = 1 if is_last else SIGHTINGS_BEFORE_RELEASE
        is_overdue = (self._dead["kind"] == _EXIT) & (
            self._dead["boot_ns"] + np.uint64(OVERDUE_NS) <= now_ns
        )
        is_overdue &= ~is_there
        if np.count_nonzero(is_overdue) < OVERDUE_AT_LEAST:
            is_overdue[:] = False
        gone = np.flatnonzero((self._misses >= enough) | is_overdue)
        # Where the kernel side was faster its record is on its way; if it has not
        # come a pass later it was dropped.
        is_gone = np.zeros(len(ours), bool)
        is_gone[gone] = True
        faster = gone[self._forget(_tracked_keys(self._dead, gone))]
        if not is_last:
            is_gone[faster] = self._misses[faster] > enough
        released = _as_free(take_records(self._dead, is_gone), now_ns)
        self._dead, self._misses = take_records(self._dead, ~is_gone), self._misses[~is_gone]
        self._schedule(began_s, is_quiet=bool(np.all(is_there)))
        return released

    def _schedule(self, began_s: float, *, is_quiet: bool) -> None:
        now_s = self._clock()
        pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S) if is_quiet else SHORTEST_PAUSE_S
        self._pause_s = max(pause_s, SHARE_OF_TIME * (now_s - began_s))
        self._next_s = now_s + self._pause_s

    def _take_over(self) -> None:
        """Work what was observed into the list of the dead."""
        if not self.is_pending:
            return
        dead = join_records([self._dead, *self._new_dead])
        misses = np.zeros(len(dead), np.int64)
        misses[: len(self._misses)] = self._misses
        _, first = np.unique(_identities(dead), return_index=True)
        if self._new_released:
            released = np.concatenate(self._new_released)
            first = first[~is_in(_identities(dead)[first], np.sort(released))]
        self._new_dead, self._new_released = [], []
        self._dead, self._misses = take_records(dead, first), misses[first]


def _identities(records: Records, where: Any = slice(None)) -> Ids:
    return process_ids(records["host_pid"][where], records["start_boot_ns"][where])


def _tracked_keys(records: Records, where: npt.NDArray[np.intp]) -> bytes:
    """Processes as struct zt_tracked_key (bpf/zt_tracked.h), one behind the other."""
    keys = np.zeros(len(where), _TRACKED_KEY)
    for name in ("start_boot_ns", "host_pid"):
        keys[name] = records[name][where]
    return keys.tobytes()


def _as_free(free: Records, now_ns: int) -> Records:
    free["kind"] = _FREE
    seen_ns = free["boot_ns"].copy()
    free["boot_ns"] = now_ns
    free["flags"] &= ~np.uint32(
        CONSTANTS["ZT_F_CUR_EXITING"]
        | CONSTANTS["ZT_F_CUR_SELF"]
        | CONSTANTS["ZT_F_CUR_COMPAT"]
        | CONSTANTS["ZT_F_CUR_KTHREAD"]
    )
    free["sys_nr"] = -1
    for field in ("cur_host_pid", "cur_host_tid", "cur_ns_pid"):
        free[field] = 0
    # A FREE record has no current; the field holds when the process was last seen instead.
    free["cur_start_boot_ns"] = seen_ns
    free["cur_comm"] = b""
    # An opened lifetime has the time of its notification there.
    free["notified_ns"] = 0
    return free
