"""How much of what there is most of the BPF programs may emit before the next drain."""

from __future__ import annotations

import struct

from tracer.kernel.maps import BpfMap

EXECS_A_DRAIN = 64
"""Of folded lifetimes, for those who read /proc."""

_EXECS, _SIGNALS = 4, 6
"""Indices into zt_numbers: ZT_NUMBER_HINTS and _SIGNALS in bpf/zt_tracked.h."""
_SPARE = 1 / 8
"""The share of a ring that is left to deaths, kills and reaps."""
_NUMBER = struct.Struct("=q")


def allow_execs(numbers: BpfMap) -> None:
    """Allow some more execs of folded lifetimes.

    Args:
        numbers: The map zt_numbers.
    """
    _NUMBER.pack_into(numbers.memory, _EXECS * _NUMBER.size, EXECS_A_DRAIN)


def allow_signals(numbers: BpfMap, capacity: int, filled: float) -> None:
    """Allow as many handled and ignored signals as leave a part of the ring free.

    Args:
        numbers: The map zt_numbers.
        capacity: How many records the ring has room for.
        filled: The share of it that is taken.
    """
    number = int(capacity * (1 - _SPARE - filled))
    _NUMBER.pack_into(numbers.memory, _SIGNALS * _NUMBER.size, max(0, number))
