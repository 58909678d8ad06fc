"""What the task iterator is asked for: all processes, the dead, or folded lifetimes."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from tracer.kernel.tasks import list_tasks
from tracer.procfs import clock
from tracer.wire.layout import CONSTANTS, join_records

Records = npt.NDArray[np.void]


class Wanted(IntEnum):
    """ZT_LIST_* (bpf/zt_maps.h)."""

    ALL = 0
    DEAD = 1
    STOPPED = 2
    FOLDED = 3


class TaskLister:
    """Makes passes of the iterator, which opens the folded lifetimes that a pass is for.

    Args:
        link_fd: The iterator's link; None where the kernel has none.
        say: Sets what the kernel side lists in the next passes, and when the last
            finished pass over the dead began.
    """

    def __init__(self, link_fd: int | None, say: Callable[[Wanted, int], None]) -> None:
        self._link_fd = link_fd
        self._say = say
        self._opened: list[Records] = []
        self._listed_ns = 0

    def tasks(self, wanted: Wanted) -> Records:
        """Make a pass; lifetimes that it opened come first, parents before children."""
        if wanted is not Wanted.ALL:
            self._say(wanted, self._listed_ns)
        began_ns = clock.boot_now_ns()
        try:
            listed = list_tasks(self._link_fd)
            if wanted is Wanted.DEAD:
                self._listed_ns = began_ns
        finally:
            if wanted is not Wanted.ALL:
                self._say(Wanted.ALL, self._listed_ns)
        is_lifetime = _are_lifetimes(listed)
        if not is_lifetime.any():
            return listed
        return join_records([_in_order_of_birth(listed[is_lifetime]), listed[~is_lifetime]])

    def list_dead(self) -> Records:
        """List the dead; those that were opened for their age: see :meth:`take_opened`."""
        listed = self.tasks(Wanted.DEAD)
        is_lifetime = _are_lifetimes(listed)
        if is_lifetime.any():
            self._opened.append(listed[is_lifetime])
        dead: Records = listed[~is_lifetime]
        return dead

    def take_opened(self) -> list[Records]:
        """Return the lifetimes that :meth:`list_dead` opened since the last call."""
        opened, self._opened = self._opened, []
        return opened


def begins_stop(batch: Records) -> bool:
    """Whether an init below the host's was sent a signal, or ended."""
    flags, kinds = batch["flags"], batch["kind"]
    is_init = ((flags & CONSTANTS["ZT_F_INIT"]) != 0) & (batch["pidns_level"] > 0)
    is_sent = (kinds == CONSTANTS["ZT_KIND_SIGNAL"]) & ((flags & CONSTANTS["ZT_F_NOTIFY"]) == 0)
    return bool((is_init & (is_sent | (kinds == CONSTANTS["ZT_KIND_EXIT"]))).any())


def _are_lifetimes(records: Records) -> npt.NDArray[np.bool_]:
    is_lifetime: npt.NDArray[np.bool_] = records["kind"] == CONSTANTS["ZT_KIND_LIFETIME"]
    return is_lifetime


def _in_order_of_birth(lifetimes: Records) -> Records:
    ordered: Records = lifetimes[np.argsort(lifetimes["forked_ns"], kind="stable")]
    # All before any record the first of them may have emitted since it was opened.
    ordered["boot_ns"] = lifetimes["boot_ns"].min()
    return ordered
