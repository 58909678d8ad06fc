"""What a record can hold that a kernel's hooks wrote.

Anything else would have to be foreseen wherever a value is named, added to a time or
stored in a column; it is refused where it is read.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tracer.capture.typed_json import MAX_BOOT_NS
from tracer.wire.header import CONSTANTS, KIND_NAMES
from tracer.wire.layout import RECORD

_MAX_PID = (1 << 31) - 1
_MAX_SIGNO = 64
_MAX_ERRNO = 4095
_SIGNALLED = 0x7F
_ABOUT_SIGNALS = (CONSTANTS["ZT_KIND_SIGNAL"], CONSTANTS["ZT_KIND_DELIVER"])


class Records(Protocol):
    """Records, or their columns."""

    def __len__(self) -> int:
        """How many."""

    def __getitem__(self, name: str, /) -> npt.NDArray[Any]:
        """One member of all."""


def _bounds() -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {
        "info": (0, CONSTANTS["ZT_INFO_POINTER"]),
        "result": (0, 4),
        "action": (0, CONSTANTS["ZT_ACTION_UNKNOWN"]),
        "exit_code": (0, 0xFFFF),
        "exit_signal": (-1, 0xFF),
        "sig": (0, _MAX_SIGNO),
        "pdeath_signal": (0, _MAX_SIGNO),
        "error": (-_MAX_ERRNO, 0),
    }
    for name in RECORD.names or ():
        if name.endswith("_ns"):
            found[name] = (0, MAX_BOOT_NS)
        elif name.endswith(("_pid", "_tid")):
            found[name] = (0, _MAX_PID)
    return found


RECORD_BOUNDS = _bounds()
"""The least and the greatest of a member; of those that are not here anything goes."""


def check_values(records: Records) -> None:
    """Refuse what no kernel side writes, before a decoder meets it.

    Raises:
        ValueError: A record holds such a thing; the text says which.
    """
    if not len(records):
        return
    kinds = np.unique(records["kind"])
    unknown = [int(kind) for kind in kinds if int(kind) not in KIND_NAMES]
    if unknown:
        raise ValueError(f"a record of kind {unknown[0]}, which does not exist")
    for name, (least, most) in RECORD_BOUNDS.items():
        values = records[name]
        for value in (int(values.min()), int(values.max())):
            if not least <= value <= most:
                raise ValueError(f"a record whose {name} is {value}")
    _check_lifetimes(records)
    about_signals = np.isin(records["kind"], _ABOUT_SIGNALS)
    if about_signals.any() and not int(records["sig"][about_signals].min()):
        raise ValueError("a signal record without a signal number")
    if int((records["exit_code"] & _SIGNALLED).max()) > _MAX_SIGNO:
        raise ValueError("a record of a death by a nonexistent signal")


def _check_lifetimes(records: Records) -> None:
    is_life = records["kind"] == CONSTANTS["ZT_KIND_LIFETIME"]
    if not is_life.any():
        return
    if not int(records["forked_ns"][is_life].min()):
        raise ValueError("a lifetime record without its fork")
    is_over = is_life & ((records["flags"] & CONSTANTS["ZT_F_RELEASED"]) != 0)
    if is_over.any() and not int(records["exit_ns"][is_over].min()):
        raise ValueError("a finished lifetime record without an exit")
