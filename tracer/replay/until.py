"""A capture up to an instant: lifetimes emitted after it may have begun before."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tracer.wire.layout import CONSTANTS, take_records

Records = npt.NDArray[np.void]

_LIFETIME = CONSTANTS["ZT_KIND_LIFETIME"]
_RELEASED = np.uint32(CONSTANTS["ZT_F_RELEASED"])
_STEPS = ("exec_ns", "exit_ns", "notified_ns")


def cut_records(records: Records, until_ns: int) -> Records:
    """Leave out what happened later.

    A folded lifetime is emitted when it is over, or opened: of one that is emitted later what
    it was by then is kept, as if it had been opened there.

    Args:
        records: In order.
        until_ns: The last instant, CLOCK_BOOTTIME.
    """
    is_later = records["boot_ns"] > until_ns
    if not is_later.any():
        return records
    is_begun = is_later & (records["kind"] == _LIFETIME) & (records["forked_ns"] <= until_ns)
    lifetimes = take_records(records, is_begun)
    was_executed = (lifetimes["exec_ns"] != 0) & (lifetimes["exec_ns"] > until_ns)
    lifetimes["comm"][was_executed] = lifetimes["chain_comm"][was_executed, 1]
    for name in _STEPS:
        lifetimes[name][lifetimes[name] > until_ns] = 0
    lifetimes["flags"] &= ~_RELEASED
    lifetimes["boot_ns"] = until_ns
    return np.concatenate([take_records(records, ~is_later), lifetimes])
