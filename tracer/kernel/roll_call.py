"""Releases without a record of their own, found by listing which processes still exist."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from tracer.kernel.allowances import allow_execs
from tracer.kernel.folded import FoldedLifetimes
from tracer.kernel.lister import TaskLister, Wanted, begins_stop
from tracer.kernel.maps import BpfMap
from tracer.kernel.pidfds import ZombieWatch
from tracer.kernel.repeats import suppressed_repeats
from tracer.kernel.sweep import ReleaseSweep
from tracer.procfs import clock
from tracer.wire.layout import join_records

Records = npt.NDArray[np.void]


class RollCall:
    """Finds missed releases, and folded lifetimes that have to be emitted after all.

    Args:
        lister: Makes passes of the task iterator.
        list_folded: Makes a pass over the folded lifetimes of the dead.
        maps: The maps, by name.
        is_possible: Whether the iterator lists every process of the host.
    """

    def __init__(
        self,
        lister: TaskLister,
        list_folded: Callable[[], bytearray],
        maps: Mapping[str, BpfMap],
        *,
        is_possible: bool,
    ) -> None:
        self._lister = lister
        self._list_folded = list_folded
        self._maps = maps
        self._is_possible = is_possible
        self._sweep = ReleaseSweep(lister.list_dead, self._forget)
        self._folded: FoldedLifetimes | None = None
        self._zombies: ZombieWatch | None = None

    def watch_zombies(self) -> None:
        """Note the exact time of their release, by their pidfds."""
        self._zombies = ZombieWatch()

    def close(self) -> None:
        """Stop watching."""
        if self._zombies is not None:
            self._zombies.close()
            self._zombies = None

    def fold(self, min_zombie_ns: int) -> None:
        """Watch folded lifetimes too."""
        self._folded = FoldedLifetimes(
            self._list_folded, self._maps["zt_lifetimes"], self._maps["zt_numbers"], min_zombie_ns
        )
        allow_execs(self._maps["zt_numbers"])

    @property
    def folded_alive(self) -> int:
        """Living processes that nothing was emitted for yet."""
        return 0 if self._folded is None else self._folded.alive

    @property
    def due_in_s(self) -> float | None:
        """When to look next; None: no process is dead and unreleased."""
        if not self._is_possible:
            return None
        dues = [self._sweep.due_in_s]
        if self._folded is not None:
            dues.append(self._folded.due_in_s)
        return min((due for due in dues if due is not None), default=None)

    def seed(self) -> Records:
        """List all processes."""
        seeded = self._lister.tasks(Wanted.ALL)
        self._sweep.observe(seeded)
        return seeded

    def observe(self, batch: Records) -> Records:
        """Take note of what was drained, and add what there is to add at once."""
        if self._folded is not None:
            allow_execs(self._maps["zt_numbers"])
            if len(batch) and self._folded.number and begins_stop(batch):
                # A stop is reported in full: which processes existed when it began?
                batch = join_records([batch, self._lister.tasks(Wanted.STOPPED)])
        if self._is_possible:
            self._sweep.observe(batch)
        if self.due_in_s == 0:
            batch = self._look(batch, is_last=False)
            if self._zombies is not None:
                self._zombies.watch(self._sweep.seen_dead)
        if self._zombies is not None:
            self._zombies.stamp(batch)
        return batch

    def finish(self, drain: Callable[[], Records]) -> Records:
        """Look for the last time: whatever is dead and not there any more is released.

        Args:
            drain: Empties the rings.
        """
        found: list[Records] = []
        if self._folded is not None and self._is_possible:
            began_ns = clock.boot_now_ns()
            found.append(self._lister.tasks(Wanted.FOLDED))
            found.append(self._folded.close_gone(began_ns, clock.boot_now_ns()))
        last = drain()
        if self._folded is not None:
            found.append(suppressed_repeats(self._maps["zt_repeats"]))
        batch = join_records([last, *found])
        self._sweep.observe(batch)
        if self.due_in_s is not None:
            batch = self._look(batch, is_last=True)
        if self._zombies is not None:
            self._zombies.stamp(batch)
        return batch

    def _look(self, batch: Records, *, is_last: bool) -> Records:
        sweep, folded, now_ns = self._sweep, self._folded, clock.boot_now_ns()
        parts = [batch]
        if is_last or sweep.due_in_s == 0:
            parts.append(sweep.sweep(now_ns, is_last=is_last))
        if folded is not None and not is_last and folded.due_in_s == 0:
            parts.append(folded.sweep(self._lister.list_dead, now_ns))
        opened = self._lister.take_opened()
        for part in opened:
            sweep.observe(part, are_listed=True)
        return join_records([*parts, *opened])

    def _forget(self, keys: bytes) -> list[int]:
        if self._folded is not None and keys:
            self._maps["zt_lifetimes"].delete_each(keys)
        return self._maps["zt_tracked"].delete_each(keys)
