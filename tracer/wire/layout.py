"""The wire record's layout, read from the C header that defines it.

There is one definition, ``bpf/zt_event.h``; this module makes a numpy dtype of
its struct. The header's numbers are in :mod:`tracer.wire.header`, which needs no
numpy.

Attributes:
    RECORD: The dtype of one ``struct zt_event``; field names as in C.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tracer.errors import ZomtraceError
from tracer.wire.header import CONSTANTS, KIND_NAMES, bpf_directory, read_header

__all__ = [
    "CONSTANTS",
    "KIND_NAMES",
    "RECORD",
    "bpf_directory",
    "join_records",
    "parse_record",
    "place_records",
    "take_records",
]

_C_TYPES = {
    "unsigned long long": "u8",
    "long long": "i8",
    "unsigned int": "u4",
    "int": "i4",
    "unsigned char": "u1",
    "char": "S",
}

_STRUCT = re.compile(r"struct\s+zt_event\s*\{(.*?)\n\};", re.DOTALL)
_MEMBER = re.compile(r"^(?P<type>[a-z ]+?)\s+(?P<name>\w+)(?P<dims>(?:\[\w+\])*)$")


def parse_record(header: str, constants: Mapping[str, int]) -> np.dtype[np.void]:
    """Make the dtype of ``struct zt_event``.

    Args:
        header: C text without comments.
        constants: What the array lengths in it stand for.

    Raises:
        ZomtraceError: The header holds something this reader does not know.
    """
    body = _STRUCT.search(header)
    if body is None:
        raise ZomtraceError("zt_event.h defines no struct zt_event")
    fields: list[tuple[str, str] | tuple[str, str, tuple[int, ...]]] = []
    for statement in body[1].split(";"):
        text = " ".join(statement.split())
        if not text:
            continue
        member = _MEMBER.match(text)
        code = _C_TYPES.get(member["type"]) if member else None
        if member is None or code is None:
            raise ZomtraceError(f"zt_event.h: cannot read the member {text!r}")
        dims = tuple(
            constants[d] if d in constants else int(d) for d in re.findall(r"\w+", member["dims"])
        )
        if code == "S":
            code, dims = f"S{dims[-1]}", dims[:-1]
        fields.append((member["name"], code, dims) if dims else (member["name"], code))
    return np.dtype(fields, align=True)


RECORD = parse_record(read_header(), CONSTANTS)

_BLOB = np.dtype((np.void, RECORD.itemsize))


def join_records(parts: Sequence[npt.NDArray[np.void]]) -> npt.NDArray[np.void]:
    """Put arrays of records one behind the other.

    np.concatenate() compares every member of the dtypes each time, 0.13 ms for
    ours, far more than the copying takes; blobs of bytes have none.
    """
    if len(parts) == 1:
        return parts[0]
    blobs = [np.ascontiguousarray(part).view(_BLOB) for part in parts]
    return np.concatenate(blobs).view(RECORD)


def place_records(
    parts: Sequence[npt.NDArray[np.void]], order: npt.NDArray[np.intp]
) -> npt.NDArray[np.void]:
    """Join arrays of records and put them into an order, each record copied once.

    Args:
        parts: The arrays.
        order: Which record of all comes first, second, ...
    """
    places = np.empty(len(order), np.intp)
    places[order] = np.arange(len(order))
    placed = np.empty(len(order), _BLOB)
    begin = 0
    for part in parts:
        end = begin + len(part)
        placed[places[begin:end]] = np.ascontiguousarray(part).view(_BLOB)
        begin = end
    return placed.view(RECORD)


def take_records(
    records: npt.NDArray[np.void], rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]
) -> npt.NDArray[np.void]:
    """Copy some of the records: numpy's own indexing would copy member by member."""
    return np.ascontiguousarray(records).view(_BLOB)[rows].view(RECORD)
