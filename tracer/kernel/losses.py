"""What was lost, by kind of record: from counters that only grow."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from tracer.kernel import plan
from tracer.wire.header import CONSTANTS, KIND_NAMES

_DROPS = struct.Struct(f"={CONSTANTS['ZT_KIND_COUNT']}Q")


class LossCounter:
    """Counts losses, less those reported before."""

    def __init__(self) -> None:
        self._counted: dict[str, int] = {}

    def take(self, drops: Any, misses: Mapping[str, int]) -> dict[str, int]:
        """Give what was lost since the last call, by kind.

        Args:
            drops: The map zt_drops: records that found no room.
            misses: How often a hook's program was not run, by row of the plan.
        """
        totals = {
            KIND_NAMES[number]: total
            for number, total in enumerate(_DROPS.unpack_from(drops))
            if number in KIND_NAMES
        }
        missed = dict(misses)
        for row in plan.ROWS:
            if row.spare_for is not None and {row.name, row.spare_for} <= set(missed):
                # Lost is what neither of them was run for: at most this many.
                missed[row.spare_for] = min(missed[row.spare_for], missed.pop(row.name))
        for row in plan.ROWS:
            totals[row.kind] += missed.get(row.name, 0)
        losses = {
            kind: total - self._counted.get(kind, 0)
            for kind, total in totals.items()
            if total > self._counted.get(kind, 0)
        }
        self._counted = totals
        return losses
