"""Lifetimes that are one record each, as columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tracer.wire.layout import CONSTANTS, take_records
from tracer.wire.members import decode_comm
from tracer.wire.process_ids import process_ids

Records = npt.NDArray[np.void]

WORTH_IT = 64
"""Fewer are decoded faster one by one."""

_LIFETIME = CONSTANTS["ZT_KIND_LIFETIME"]
_RELEASED = CONSTANTS["ZT_F_RELEASED"]
_FOUND = CONSTANTS["ZT_F_FOUND"]


@dataclass(frozen=True, slots=True)
class WholeLifetimes:
    """LIFETIME records of processes that are over, among other records.

    Args:
        count: How many records there are in all.
        rows: Which of them these are.
        lifetimes: They themselves, in order.
    """

    count: int
    rows: npt.NDArray[np.intp]
    lifetimes: Records

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> npt.NDArray[np.uint64]:
        column: npt.NDArray[np.uint64] = self.lifetimes[name]
        return column

    def pick(self, which: npt.NDArray[np.bool_]) -> WholeLifetimes:
        """Leave out the others."""
        return WholeLifetimes(self.count, self.rows[which], take_records(self.lifetimes, which))

    @property
    def are_found(self) -> npt.NDArray[np.bool_]:
        """Those whose release no hook saw."""
        found: npt.NDArray[np.bool_] = (self.lifetimes["flags"] & _FOUND) != 0
        return found

    @property
    def parent_ids(self) -> npt.NDArray[np.uint64]:
        """One number for each parent, the same for the same one."""
        return process_ids(
            self.lifetimes["parent_host_pid"], self.lifetimes["parent_start_boot_ns"]
        )

    def names(self) -> list[str]:
        """The names of all."""
        return [decode_comm(raw) for raw in self.lifetimes["comm"].tolist()]

    def parent_names(self, which: npt.NDArray[np.intp]) -> list[str]:
        """The names of some of the parents."""
        return [decode_comm(raw) for raw in self.lifetimes["parent_comm"][which].tolist()]


def find_whole_lifetimes(records: Records) -> WholeLifetimes:
    """Find the lifetimes among records; none where there are too few to be worth it."""
    is_whole = (records["kind"] == _LIFETIME) & ((records["flags"] & _RELEASED) != 0)
    rows = np.flatnonzero(is_whole)
    if len(rows) < WORTH_IT:
        rows = rows[:0]
    return WholeLifetimes(len(records), rows, take_records(records, rows))
