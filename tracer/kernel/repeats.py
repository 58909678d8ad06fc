"""Signals that were counted and not emitted: bpf/zt_repeats.h."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tracer.kernel.maps import BpfMap
from tracer.wire.layout import CONSTANTS, RECORD

Records = npt.NDArray[np.void]

_REPEAT = np.dtype(
    [
        ("emitted", RECORD),
        ("emitted_ns", "u8"),
        ("number", "u8"),
        ("suppressed", "u8"),
        ("since_ns", "u8"),
        ("last_ns", "u8"),
    ]
)


def suppressed_repeats(repeats: BpfMap) -> Records:
    """Return the signals that were only counted so far, one record for equal ones.

    Args:
        repeats: The map zt_repeats.

    Returns:
        Records of the last ones, with the number of the others.
    """
    _, values = repeats.entries()
    entries = np.frombuffer(values, _REPEAT)
    entries = entries[(entries["suppressed"] > 0) & (entries["emitted_ns"] > 0)]
    records: Records = np.array(entries["emitted"])
    records["boot_ns"] = entries["last_ns"]
    records["flags"] |= CONSTANTS["ZT_F_FOLDED"]
    records["repeats"] = entries["suppressed"] - 1
    records["repeats_since_ns"] = np.where(entries["suppressed"] > 1, entries["since_ns"], 0)
    return records
