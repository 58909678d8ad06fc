"""Rows of the records of plain lives, made column by column.

Each column says what the line of the same record says (:mod:`tracer.report.jsonlines`);
what it rests on beyond the record was found by :mod:`tracer.session.plain_lives`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracer.frames.columns import TABLES, Column
from tracer.frames.tables import ARROW_TYPES, arrow_schema, nulls
from tracer.model.events import Precision
from tracer.model.signals import signal_name
from tracer.model.verdicts import ReapKind
from tracer.report.escape import safe_text
from tracer.session.plain_lives import PlainLives
from tracer.wire.decode import (
    decode_comm,
    decode_disposition,
    decode_result,
    decode_status,
    is_filled,
)
from tracer.wire.layout import CONSTANTS
from tracer.wire.record_columns import RecordColumns

Positions = npt.NDArray[np.intp]
Values = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

_FORK, _EXIT, _SIGNAL = (CONSTANTS[f"ZT_KIND_{name}"] for name in ("FORK", "EXIT", "SIGNAL"))
_EXIT_BEGIN = CONSTANTS["ZT_KIND_EXIT_BEGIN"]
_REAP, _FREE = CONSTANTS["ZT_KIND_REAP"], CONSTANTS["ZT_KIND_FREE"]
_F_BLOCKED = CONSTANTS["ZT_F_BLOCKED"]
_KINDS = {
    _FORK: "fork",
    CONSTANTS["ZT_KIND_EXEC"]: "exec",
    _EXIT: "exit",
    _REAP: "reap",
    _FREE: "reap",
    _SIGNAL: "signal",
}
_PRECISIONS = {_REAP: Precision.EXACT, _FREE: Precision.UPPER_BOUND}
_ACTION_BITS = 8


class PlainRows:
    """The rows of one table that the plain lives of one piece have.

    Args:
        name: Of the table: events or signals.
        columns: The piece.
        lives: The plain lives in it.
        utc_offset_ns: CLOCK_REALTIME minus CLOCK_BOOTTIME.

    Attributes:
        positions: Of their records in the piece, in order.
    """

    def __init__(
        self, name: str, columns: RecordColumns, lives: PlainLives, utc_offset_ns: int
    ) -> None:
        kinds = columns["kind"][lives.rows]
        has_row = kinds == _SIGNAL if name == "signals" else kinds != _EXIT_BEGIN
        self.positions: Positions = lives.rows[has_row]
        self._name = name
        self._columns = columns
        self._lives = lives
        self._utc_offset_ns = utc_offset_ns
        self._members: dict[str, Values] = {}

    def batch(self, begin: int, end: int) -> pa.RecordBatch:
        """Make rows of some of :attr:`positions`."""
        some = _Some(
            lambda name: self._member(name)[begin:end],
            self.positions[begin:end],
            self._lives,
            self._utc_offset_ns,
        )
        arrays = [
            _MAKERS[column.name](some, column)
            if column.name in _MAKERS
            else nulls(column, end - begin)
            for column in TABLES[self._name]
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(self._name))

    def _member(self, name: str) -> Values:
        if name not in self._members:
            self._members[name] = self._columns[name][self.positions]
        return self._members[name]


class _Some:
    """Some records of plain lives: one of the kinds that have a row each."""

    def __init__(
        self,
        member: Callable[[str], Values],
        positions: Positions,
        lives: PlainLives,
        utc_offset_ns: int,
    ) -> None:
        self.member = member
        self.utc_offset_ns = utc_offset_ns
        self.zombie_ns = lives.zombie_ns[positions]
        self.reaper_comm = lives.reaper_comm[positions]
        self.kinds = member("kind")

    def are(self, *kinds: int) -> Mask:
        """Which of them are of some kinds."""
        found: Mask = np.isin(self.kinds, kinds)
        return found


def _numbers(values: Values, column: Column, only: Mask | None = None) -> pa.Array:
    hidden = None if only is None else ~only
    return pa.array(values, mask=hidden).cast(ARROW_TYPES[column.type])


def _scattered(values: pa.Array, which: Values, only: Mask | None) -> pa.Array:
    """Give each row one of a few values, or null where it has none."""
    if only is None:
        return values.take(pa.array(which))
    places = np.zeros(len(only), np.int64)
    places[only] = which
    return values.take(pa.array(places, mask=~only))


def _mapped(
    values: Values, column: Column, make: Callable[[int], Any], only: Mask | None = None
) -> pa.Array:
    """What a number means, asked once for each that occurs."""
    asked = values if only is None else values[only]
    few, which = np.unique(asked, return_inverse=True)
    meanings = [make(value) for value in few.tolist()]
    if not column.categories:
        return _scattered(pa.array(meanings, ARROW_TYPES[column.type]), which, only)
    codes = {value: code for code, value in enumerate(column.categories)}
    few_codes = pa.array([codes[str(value)] for value in meanings], pa.int8())
    return pa.DictionaryArray.from_arrays(
        _scattered(few_codes, which, only), pa.array(column.categories, pa.string())
    )


def _texts(raw: Values, make: Callable[[bytes], str], only: Mask | None = None) -> pa.Array:
    """What bytes of one length mean, asked once for each that occur."""
    asked = np.ascontiguousarray(raw if only is None else raw[only])
    blobs = pa.Array.from_buffers(
        pa.binary(asked.dtype.itemsize), len(asked), [None, pa.py_buffer(asked)]
    ).dictionary_encode()
    few = pa.array([make(value) for value in blobs.dictionary.to_pylist()], pa.string())
    which = blobs.indices.to_numpy(zero_copy_only=False)
    return _scattered(few, which, only)


def _name_of(raw: bytes) -> str:
    return safe_text(decode_comm(raw))


def _time(some: _Some, column: Column) -> pa.Array:
    instants = some.member("boot_ns").astype(np.int64) + some.utc_offset_ns
    return pa.array(instants).cast(ARROW_TYPES[column.type])


def _own(name: str) -> Callable[[_Some, Column], pa.Array]:
    return lambda some, column: _numbers(some.member(name), column)


def _own_if_known(name: str) -> Callable[[_Some, Column], pa.Array]:
    return lambda some, column: _numbers(some.member(name), column, some.member(name) != 0)


def _detail(some: _Some, _: Column) -> pa.Array:
    forks = some.are(_FORK)
    creators = np.empty(len(forks), np.dtype([("pid", "<u4"), ("comm", "S16")]))
    creators["pid"], creators["comm"] = some.member("cur_host_pid"), some.member("cur_comm")

    def write(raw: bytes) -> str:
        line = {
            "creator_host_pid": int.from_bytes(raw[:4], "little"),
            "creator_comm": _name_of(raw[4:]),
        }
        return json.dumps(line, ensure_ascii=False)

    return _texts(creators, write, forks)


def _disposition(some: _Some, column: Column) -> pa.Array:
    signals = some.are(_SIGNAL)
    is_blocked = (some.member("flags") & _F_BLOCKED) != 0
    known_by = (some.member("action").astype(np.int64) << _ACTION_BITS) | is_blocked
    signos = some.member("sig").astype(np.int64) << (2 * _ACTION_BITS)

    def make(number: int) -> str:
        return decode_disposition(
            number >> (2 * _ACTION_BITS),
            (number >> _ACTION_BITS) & 0xFF,
            is_blocked=bool(number & 1),
        )

    return _mapped(known_by | signos, column, make, signals)


def _si_code(some: _Some, column: Column) -> pa.Array:
    infos = some.member("info")
    filled = [info for info in np.unique(infos).tolist() if is_filled(info)]
    return _numbers(some.member("si_code"), column, some.are(_SIGNAL) & np.isin(infos, filled))


_MAKERS: dict[str, Callable[[_Some, Column], pa.Array]] = {
    "time": _time,
    "boot_ns": _own("boot_ns"),
    "kind": lambda some, column: _mapped(some.kinds, column, _KINDS.__getitem__),
    "host_pid": _own("host_pid"),
    "ns_pid": _own_if_known("ns_pid"),
    "start_boot_ns": _own("start_boot_ns"),
    "comm": lambda some, _: _texts(some.member("comm"), _name_of),
    "parent_host_pid": _own("parent_host_pid"),
    "pidns_inum": _own_if_known("pidns_inum"),
    "cgroup_id": _own_if_known("cgroup_id"),
    "exit_code": lambda some, column: _mapped(
        some.member("exit_code"),
        column,
        lambda raw: decode_status(raw).exit_code,
        some.are(_EXIT),
    ),
    "core_dumped": lambda some, column: _mapped(
        some.member("exit_code"),
        column,
        lambda raw: decode_status(raw).core_dumped,
        some.are(_EXIT),
    ),
    "zombie_ns": lambda some, column: _numbers(some.zombie_ns, column, some.are(_REAP, _FREE)),
    "reap_kind": lambda some, column: _mapped(
        some.kinds, column, lambda _: ReapKind.PARENT, some.are(_REAP, _FREE)
    ),
    "reaper_host_pid": lambda some, column: _numbers(
        some.member("parent_host_pid"), column, some.are(_REAP, _FREE)
    ),
    "reaper_comm": lambda some, _: _texts(some.reaper_comm, _name_of, some.are(_REAP, _FREE)),
    "precision": lambda some, column: _mapped(
        some.kinds, column, _PRECISIONS.__getitem__, some.are(_REAP, _FREE)
    ),
    "signal": lambda some, column: _mapped(
        some.member("sig"), column, signal_name, some.are(_SIGNAL)
    ),
    "trigger_host_pid": lambda some, column: _numbers(
        some.member("cur_host_pid"), column, some.are(_SIGNAL)
    ),
    "trigger_comm": lambda some, _: _texts(some.member("cur_comm"), _name_of, some.are(_SIGNAL)),
    "si_code": _si_code,
    "result": lambda some, column: _mapped(
        some.member("result"), column, decode_result, some.are(_SIGNAL)
    ),
    "disposition": _disposition,
    "detail": _detail,
}
"""Columns that are not null of every record of a plain life."""
