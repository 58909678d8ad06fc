"""Rows of the JSON contract as Arrow tables and pandas DataFrames."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import pandas as pd
import pyarrow as pa

from tracer.tables.column import Column, ColumnType
from tracer.tables.columns import TABLES

Row = Mapping[str, Any]

ROWS_AT_ONCE = 50_000
"""In one batch: of rows as Python has them, some 100 MB."""

ARROW_TYPES = {
    ColumnType.INT32: pa.int32(),
    ColumnType.INT64: pa.int64(),
    ColumnType.UINT64: pa.uint64(),
    ColumnType.BOOL: pa.bool_(),
    ColumnType.STRING: pa.string(),
    ColumnType.CATEGORY: pa.dictionary(pa.int8(), pa.string()),
    ColumnType.TIME: pa.timestamp("ns", tz="UTC"),
    ColumnType.STRINGS: pa.list_(pa.string()),
    ColumnType.PIDS: pa.list_(pa.int32()),
}
_EVENT_COLUMNS = frozenset(column.name for column in TABLES["events"])


def arrow_schema(name: str) -> pa.Schema:
    """The Arrow schema of a table."""
    return pa.schema(
        [
            pa.field(column.name, ARROW_TYPES[column.type], nullable=column.null is not None)
            for column in TABLES[name]
        ]
    )


def build_batches(name: str, rows: Iterable[Row], utc_offset_ns: int) -> Iterator[pa.RecordBatch]:
    """Make batches of rows, at most some ten thousand at once in memory.

    Args:
        name: Of the table.
        rows: Objects of the JSON contract.
        utc_offset_ns: CLOCK_REALTIME minus CLOCK_BOOTTIME.
    """
    remaining = iter(rows)
    while chunk := list(islice(remaining, ROWS_AT_ONCE)):
        yield build_batch(name, chunk, utc_offset_ns)


def build_batch(name: str, rows: Sequence[Row], utc_offset_ns: int) -> pa.RecordBatch:
    """Make one batch of rows; see :func:`build_batches`."""
    keys = set().union(*rows)
    arrays = [
        _array(column, rows, utc_offset_ns)
        if (column.clock or column.name) in keys
        else nulls(column, len(rows))
        for column in TABLES[name]
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(name))


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Make a DataFrame: Arrow-backed columns, categories as pandas' own."""
    return pd.DataFrame(
        {name: _series(table.column(name)) for name in table.column_names}, copy=False
    )


def event_row(line: Row) -> Row:
    """Make a row of a line of ``--json``: what has no column goes to ``detail``."""
    if line.keys() <= _EVENT_COLUMNS:
        return line
    rest = {key: value for key, value in line.items() if key not in _EVENT_COLUMNS}
    return {**line, "detail": json.dumps(rest, ensure_ascii=False)}


def nulls(column: Column, count: int) -> pa.Array:
    """A column of rows that have nothing in it."""
    if column.type is ColumnType.CATEGORY:
        return categorical([None] * count, column.categories)
    return pa.nulls(count, ARROW_TYPES[column.type])


def _array(column: Column, rows: Sequence[Row], utc_offset_ns: int) -> pa.Array:
    values = [row.get(column.clock or column.name) for row in rows]
    if column.type is ColumnType.TIME:
        instants = [None if value is None else value + utc_offset_ns for value in values]
        return pa.array(instants, pa.int64()).cast(ARROW_TYPES[column.type])
    if column.type is ColumnType.CATEGORY:
        return categorical(values, column.categories)
    if column.type is ColumnType.PIDS:
        values = [value and [_host_pid(one) for one in value] for value in values]
    return pa.array(values, ARROW_TYPES[column.type])


def _host_pid(value: int | Row) -> int:
    """A process's pid, of one that is given by itself or with more about it."""
    return value if isinstance(value, int) else int(value["host_pid"])


def categorical(values: Iterable[str | None], categories: Sequence[str]) -> pa.DictionaryArray:
    """Make a dictionary array whose values are known beforehand."""
    codes = {value: code for code, value in enumerate(categories)}
    indices = pa.array(
        [None if value is None else codes[str(value)] for value in values], pa.int8()
    )
    return pa.DictionaryArray.from_arrays(indices, pa.array(categories, pa.string()))


def _series(values: pa.ChunkedArray) -> pd.Series:
    if not pa.types.is_dictionary(values.type):
        return pd.Series(pd.arrays.ArrowExtensionArray(values))
    combined = values.unify_dictionaries().combine_chunks()
    if isinstance(combined, pa.ChunkedArray):
        combined = (
            pa.concat_arrays(combined.chunks) if combined.num_chunks else pa.array([], values.type)
        )
    codes = combined.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return pd.Series(pd.Categorical.from_codes(codes, categories=combined.dictionary.to_pylist()))
