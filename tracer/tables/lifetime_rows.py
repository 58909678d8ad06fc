"""Rows of uneventful lifetimes in the events table, made column by column.

Each says what the line of the same record says (:mod:`tracer.report.jsonlines`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracer.model.events import Precision
from tracer.model.identity import PidnsKey
from tracer.model.target import Container
from tracer.model.verdicts import ReapKind
from tracer.report.escape import safe_text
from tracer.tables.column import Column
from tracer.tables.columns import TABLES
from tracer.tables.tables import ARROW_TYPES, arrow_schema, nulls
from tracer.wire.layout import CONSTANTS
from tracer.wire.members import decode_comm, decode_status

Records = npt.NDArray[np.void]
ContainerOf = Callable[[PidnsKey], Container | None]

_EXACT = CONSTANTS["ZT_F_EXACT"]


def build_lifetime_rows(
    lifetimes: Records, utc_offset_ns: int, container_of: ContainerOf
) -> pa.RecordBatch:
    """Make a row of each lifetime.

    Args:
        lifetimes: LIFETIME records that are over and plain.
        utc_offset_ns: CLOCK_REALTIME minus CLOCK_BOOTTIME.
        container_of: What a namespace is to its runtime.
    """
    rows = _Rows(lifetimes, utc_offset_ns, container_of)
    arrays = [
        _MAKERS[column.name](rows, column)
        if column.name in _MAKERS
        else nulls(column, len(lifetimes))
        for column in TABLES["events"]
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema("events"))


class _Rows:
    def __init__(self, lifetimes: Records, utc_offset_ns: int, container_of: ContainerOf) -> None:
        self.lifetimes = lifetimes
        self.utc_offset_ns = utc_offset_ns
        self._container_of = container_of

    def containers(self, describe: Callable[[Container], str | None]) -> pa.Array:
        """What a namespace's container is called, asked once for each namespace."""
        pidns = np.empty(len(self.lifetimes), np.dtype([("inum", "u8"), ("start", "u8")]))
        pidns["inum"] = self.lifetimes["pidns_inum"]
        pidns["start"] = self.lifetimes["init_start_boot_ns"]
        few, which = np.unique(pidns, return_inverse=True)
        found = [
            self._container_of(PidnsKey(int(inum), int(start))) for inum, start in few.tolist()
        ]
        texts = [None if container is None else describe(container) for container in found]
        safe = [None if text is None else safe_text(text) for text in texts]
        return pa.array(safe, pa.string()).take(pa.array(which.reshape(-1)))


def _numbers(name: str, *, is_known_if_set: bool = False) -> Callable[[_Rows, Column], pa.Array]:
    def make(rows: _Rows, column: Column) -> pa.Array:
        values = np.ascontiguousarray(rows.lifetimes[name])
        hidden = values == 0 if is_known_if_set else None
        return pa.array(values, mask=hidden).cast(ARROW_TYPES[column.type])

    return make


def _texts(pick: Callable[[Records], npt.NDArray[Any]]) -> Callable[[_Rows, Column], pa.Array]:
    def make(rows: _Rows, _: Column) -> pa.Array:
        few, which = np.unique(np.ascontiguousarray(pick(rows.lifetimes)), return_inverse=True)
        names = [safe_text(decode_comm(raw)) if raw else None for raw in few.tolist()]
        return pa.array(names, pa.string()).take(pa.array(which))

    return make


def _mapped(
    pick: Callable[[Records], npt.NDArray[Any]], mean: Callable[[int], Any]
) -> Callable[[_Rows, Column], pa.Array]:
    def make(rows: _Rows, column: Column) -> pa.Array:
        few, which = np.unique(pick(rows.lifetimes), return_inverse=True)
        meanings = [mean(value) for value in few.tolist()]
        if not column.categories:
            return pa.array(meanings, ARROW_TYPES[column.type]).take(pa.array(which))
        codes = {value: code for code, value in enumerate(column.categories)}
        of_few = pa.array([codes[str(value)] for value in meanings], pa.int8())
        return pa.DictionaryArray.from_arrays(
            of_few.take(pa.array(which)), pa.array(column.categories, pa.string())
        )

    return make


def _time(rows: _Rows, column: Column) -> pa.Array:
    instants = rows.lifetimes["boot_ns"].astype(np.int64) + rows.utc_offset_ns
    return pa.array(instants).cast(ARROW_TYPES[column.type])


def _zombie_ns(rows: _Rows, column: Column) -> pa.Array:
    lasted = (rows.lifetimes["boot_ns"] - rows.lifetimes["notified_ns"]).astype(np.int64)
    return pa.array(lasted).cast(ARROW_TYPES[column.type])


_MAKERS: dict[str, Callable[[_Rows, Column], pa.Array]] = {
    "time": _time,
    "boot_ns": _numbers("boot_ns"),
    "kind": _mapped(lambda each: np.zeros(len(each), np.int8), lambda _: "exit"),
    "host_pid": _numbers("host_pid"),
    "ns_pid": _numbers("ns_pid", is_known_if_set=True),
    "start_boot_ns": _numbers("start_boot_ns"),
    "comm": _texts(lambda each: each["comm"]),
    "parent_host_pid": _numbers("parent_host_pid"),
    "pidns_inum": _numbers("pidns_inum", is_known_if_set=True),
    "cgroup_id": _numbers("cgroup_id", is_known_if_set=True),
    "container_id": lambda rows, _: rows.containers(lambda container: container.id),
    "container_name": lambda rows, _: rows.containers(lambda container: container.name),
    "exit_code": _mapped(lambda each: each["exit_code"], lambda raw: decode_status(raw).exit_code),
    "core_dumped": _mapped(
        lambda each: each["exit_code"], lambda raw: decode_status(raw).core_dumped
    ),
    "forked_boot_ns": _numbers("forked_ns"),
    "exit_boot_ns": _numbers("exit_ns"),
    "executed": _texts(lambda each: each["chain_comm"][:, 0]),
    "zombie_ns": _zombie_ns,
    "reap_kind": _mapped(lambda each: np.zeros(len(each), np.int8), lambda _: ReapKind.PARENT),
    "reaper_host_pid": _numbers("parent_host_pid"),
    "reaper_comm": _texts(lambda each: each["parent_comm"]),
    "precision": _mapped(
        lambda each: (each["flags"] & _EXACT) != 0,
        lambda is_exact: Precision.EXACT if is_exact else Precision.UPPER_BOUND,
    ),
}
"""Columns that are not null for any uneventful lifetime."""
