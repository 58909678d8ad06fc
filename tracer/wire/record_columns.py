"""Records as a capture file holds them: a column for each member, nothing decoded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracer.wire.capture_schema import batch_to_records, column_values
from tracer.wire.layout import RECORD, join_records


class RecordColumns:
    """Some records, in order, column by column.

    Args:
        batches: As they were read.
    """

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self.batches = tuple(batches)
        self._begins = np.cumsum([0, *(batch.num_rows for batch in self.batches)])

    def __len__(self) -> int:
        return int(self._begins[-1])

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """One member of all records; zeros where the file does not have it.

        Raises:
            ValueError: It is of another type than the record's member.
        """
        if not self.batches:
            return np.zeros(0, RECORD[name])
        columns = [batch_column(batch, name) for batch in self.batches]
        return columns[0] if len(columns) == 1 else np.concatenate(columns)

    def records(self, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.void]:
        """Make records of some rows, given in ascending order."""
        edges = np.searchsorted(rows, self._begins)
        parts = [
            batch_to_records(batch, rows[begin:end] - first)
            for batch, first, begin, end in zip(
                self.batches, self._begins[:-1], edges[:-1], edges[1:], strict=True
            )
            if end > begin
        ]
        return join_records(parts) if parts else np.zeros(0, RECORD)


def batch_column(batch: pa.RecordBatch, name: str) -> npt.NDArray[Any]:
    """One member of a batch of records; zeros where the file does not have it."""
    index = batch.schema.get_field_index(name)
    if index >= 0:
        return column_values(batch, index)
    return np.zeros(batch.num_rows, RECORD[name])
