"""One number for each process, to compare whole columns by."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_PID_BITS = np.uint64(22)
"""Linux has no more pids than 2**22 (PID_MAX_LIMIT)."""

Ids = npt.NDArray[np.uint64]


def process_ids(host_pids: npt.NDArray[Any], start_boot_ns: npt.NDArray[Any]) -> Ids:
    """Make one number of pid and start.

    Two processes have the same only if they have the same pid and started a
    multiple of 2**42 ns (73 minutes) apart, to the nanosecond.
    """
    ids: Ids = np.left_shift(start_boot_ns, _PID_BITS, dtype=np.uint64)
    ids |= host_pids
    return ids


def is_in(values: npt.NDArray[Any], members: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Whether each value is one of the members, which are sorted."""
    if len(members) == 0:
        return np.zeros(len(values), bool)
    places = np.searchsorted(members, values)
    places[places == len(members)] = 0
    found: npt.NDArray[np.bool_] = members[places] == values
    return found
