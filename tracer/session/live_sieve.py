"""Passing over ordinary lives while a whole host is traced live.

A storm of short-lived processes costs a live trace more than all the rest, and
nothing of it is shown. What lives and ends as most do is passed over by whole
columns (:mod:`tracer.session.ordinary_lives`); what has begun that way is held until
it is over, or anything else is known of it (:mod:`tracer.session.open_lives`). All
else goes the usual way, so that the report is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tracer.correlate.correlator import Correlator
from tracer.model.identity import ProcessKey
from tracer.session.life_rows import COLUMNS, Parent, Rows, Table
from tracer.session.open_lives import find_open_lives
from tracer.session.ordinary_lives import Known, Sieve, find_lives, sift_table
from tracer.wire.layout import CONSTANTS, RECORD, gather_records

Records = npt.NDArray[np.void]

_EXIT = CONSTANTS["ZT_KIND_EXIT"]

WORTH_IT_RECORDS = 1024
"""Fewer are decoded sooner than searched."""
_AT_ONCE = 8_192
"""So many records fit into a processor's second cache, where each column is picked out of them."""
HELD_NS = 2_000_000_000
"""How long the records of a life may be held: by the last record, or the clock when none comes."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What to decode and feed, in this order.

    Args:
        held: Records of earlier batches.
        positions: Which of this batch; None = all.
    """

    held: Records
    positions: npt.NDArray[np.intp] | None


@dataclass(slots=True)
class _Held:
    """Records that wait, in order, with what the search made of them.

    Args:
        due_ns: When the first of the lives cannot be ordinary any more.
    """

    records: Records = field(default_factory=lambda: np.empty(0, RECORD))
    table: Table = field(default_factory=dict)
    parents: dict[int, Parent] = field(default_factory=dict)
    due_ns: int | None = None


class LiveSieve:
    """The sieve before one live correlator.

    Args:
        correlator: Of a whole host; it forgets uneventful processes.
        on_passed: Told how many lives were passed over.
    """

    def __init__(self, correlator: Correlator, on_passed: Callable[[int], object]) -> None:
        self._correlator = correlator
        self._on_passed = on_passed
        self._sieve: Sieve | None = None
        self._held = _Held()

    @property
    def holds_much(self) -> bool:
        """Whether so much is held that a small batch is not worth looking through it."""
        return len(self._held.records) >= WORTH_IT_RECORDS

    @property
    def due_ns(self) -> int | None:
        """When to take what is held, whatever comes (CLOCK_BOOTTIME); None: nothing is."""
        return self._held.due_ns

    def take_held(self) -> Records:
        """Give what is held, to be decoded and fed."""
        held, self._held = self._held, _Held()
        return held.records

    def choose(self, parts: Sequence[Records]) -> Chosen:
        """Pick the records to decode; feed them, then :meth:`settle`.

        Args:
            parts: The records of a batch, in arrays that follow one another.
        """
        self._sieve = None
        count = sum(len(part) for part in parts)
        if len(self._held.records) + count < WORTH_IT_RECORDS:
            return Chosen(self.take_held(), None)
        scopes = self._correlator.scopes
        if not all(container.has_own_pidns for container in scopes.containers):
            # Who belongs to one is told by cgroup: the columns do not say.
            return Chosen(self.take_held(), None)
        return self._sift(parts)

    def settle(self) -> None:
        """Add what the records passed over would have, once the others are fed."""
        if self._sieve is not None:
            self._sieve.settle(self._correlator)
            self._on_passed(len(self._sieve.ordinary))
            self._sieve = None

    def _sift(self, parts: Sequence[Records]) -> Chosen:
        held = self._held
        rows = Rows(parents=held.parents)
        if held.table:
            rows.parts.append(held.table)
        for part in parts:
            for begin in range(0, len(part), _AT_ONCE):
                some = part[begin : begin + _AT_ONCE]
                rows.add({name: np.ascontiguousarray(some[name]) for name in COLUMNS})
        table = rows.join()
        processes = self._correlator.table
        known = Known(
            pids=np.sort(np.fromiter(processes.host_pids(), np.uint64)),
            name_of=lambda key: state.comm if (state := processes.get(key)) is not None else None,
        )
        min_zombie_ns = self._correlator.options.min_zombie_ns
        lives = find_lives(table, min_zombie_ns)
        self._sieve = sieve = sift_table(table, lives, rows.parents, known)
        last_ns = sieve.last_boot_ns
        open_ids = find_open_lives(
            table,
            lives,
            sieve,
            rows.parents,
            known=known,
            is_alive=self._is_alive,
            since_ns=last_ns - HELD_NS,
            dead_since_ns=last_ns - min_zombie_ns,
        )
        waits = lives.rows_of(open_ids)
        chosen = ~(waits | lives.rows_of(sieve.ordinary))
        all_parts = [held.records, *parts]
        number = len(held.records)
        waiting = np.flatnonzero(waits)
        kept = {name: column[waiting] for name, column in table.items()}
        self._held = _Held(
            gather_records(all_parts, waiting),
            kept,
            {parent: rows.parents[parent] for parent in np.unique(kept["parent"]).tolist()},
            _due_ns(kept, min_zombie_ns),
        )
        return Chosen(
            gather_records([held.records], np.flatnonzero(chosen[:number])),
            np.flatnonzero(chosen[number:]),
        )

    def _is_alive(self, key: ProcessKey) -> bool:
        state = self._correlator.table.get(key)
        return state is not None and state.exit_ns is None and not state.is_released


def _due_ns(held: Table, min_zombie_ns: int) -> int | None:
    stamps, ends = held["boot_ns"], held["boot_ns"][held["kind"] == _EXIT]
    dues = [int(stamps[0]) + HELD_NS] if len(stamps) else []
    if len(ends):
        dues.append(int(ends.min()) + min_zombie_ns)
    return min(dues, default=None)
