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
    "arrange_records",
    "bpf_directory",
    "gather_records",
    "join_records",
    "parse_record",
    "put_records",
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


def arrange_records(parts: Sequence[npt.NDArray[np.void]], order: npt.NDArray[np.intp]) -> None:
    """Put the records of several arrays into an order, in place.

    Only what is not in its place is copied, which is little where neighbours were
    swapped.

    Args:
        parts: The arrays, each one behind the other in memory.
        order: Which record of all comes first, second, ...
    """
    places = np.flatnonzero(order != np.arange(len(order)))
    sources = order[places]
    ascending = np.argsort(sources)
    moved = np.empty(len(places), _BLOB)
    moved[ascending] = gather_records(parts, sources[ascending]).view(_BLOB)
    begin = 0
    for part in parts:
        first, last = np.searchsorted(places, [begin, begin + len(part)])
        part.view(_BLOB)[places[first:last] - begin] = moved[first:last]
        begin += len(part)


def gather_records(
    parts: Sequence[npt.NDArray[np.void]], rows: npt.NDArray[np.intp]
) -> npt.NDArray[np.void]:
    """Copy some records out of several arrays, one behind the other.

    Args:
        parts: The arrays.
        rows: Which ones, counted through all arrays; ascending.

    Raises:
        IndexError: There are fewer.
    """
    if len(rows) and rows[-1] >= sum(len(part) for part in parts):
        raise IndexError(f"there is no record {rows[-1]}")
    gathered = np.empty(len(rows), _BLOB)
    begin = 0
    for part in parts:
        first, last = np.searchsorted(rows, [begin, begin + len(part)])
        blobs = np.ascontiguousarray(part).view(_BLOB)
        # With the usual mode numpy copies once more, lest a wrong row spoil the result.
        blobs.take(rows[first:last] - begin, out=gathered[first:last], mode="clip")
        begin += len(part)
    return gathered.view(RECORD)


def take_records(
    records: npt.NDArray[np.void], rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]
) -> npt.NDArray[np.void]:
    """Copy some of the records: numpy's own indexing would copy member by member."""
    if rows.dtype == bool:
        rows = np.flatnonzero(rows)
    return np.ascontiguousarray(records).view(_BLOB).take(rows).view(RECORD)


def put_records(
    records: npt.NDArray[np.void], where: npt.NDArray[np.bool_], others: npt.NDArray[np.void]
) -> None:
    """Write other records over some, in place.

    Args:
        records: One behind the other in memory.
        where: Over which of them.
        others: As many.
    """
    records.view(_BLOB)[where] = others.view(_BLOB)
