"""The events and signals tables of a host: rows made by columns and rows made one by one.

They are put together in the order of their records, which is that of ``--json``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from tracer.frames.plain_rows import PlainRows
from tracer.frames.tables import ROWS_AT_ONCE, Row, build_batch, event_row
from tracer.report.jsonlines import event_to_json
from tracer.session.pieces import Piece


def merge_pieces(
    names: Iterable[str], pieces: Iterable[Piece], utc_offset_ns: int
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Make the batches of some tables from one pass through a capture.

    Args:
        names: Of the tables: events, signals or both.
        pieces: What is in the capture, in order.
        utc_offset_ns: CLOCK_REALTIME minus CLOCK_BOOTTIME.
    """
    tables = [_Table(name, utc_offset_ns) for name in names]
    for piece in pieces:
        for table in tables:
            table.begin(piece)
        for order, annotated in piece.told:
            line = event_to_json(annotated, utc_offset_ns)
            if line is None:
                continue
            for table in tables:
                if table.add(order, line):
                    yield from table.batches(order)
        for table in tables:
            yield from table.batches()
    for table in tables:
        yield from table.rest()


class _Table:
    """One table as it grows."""

    def __init__(self, name: str, utc_offset_ns: int) -> None:
        self._name = name
        self._utc_offset_ns = utc_offset_ns
        self._plain: PlainRows | None = None
        self._given = 0
        self._orders: list[int] = []
        self._rows: list[Row] = []
        self._made: list[pa.RecordBatch] = []
        self._made_rows = 0

    def begin(self, piece: Piece) -> None:
        """Go on to the next piece."""
        self._given = 0
        self._plain = None
        if piece.lives is not None:
            self._plain = PlainRows(self._name, piece.columns, piece.lives, self._utc_offset_ns)

    def add(self, order: int, line: Row) -> bool:
        """Take a line that was made; whether there are enough of them."""
        if self._name == "signals" and line["kind"] != "signal":
            return False
        self._orders.append(order)
        self._rows.append(event_row(line) if self._name == "events" else line)
        return len(self._rows) >= ROWS_AT_ONCE

    def batches(self, until: int | None = None) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Make rows of all there is, up to an order."""
        parts, orders = [], []
        if self._plain is not None:
            of_plain = 2 * self._plain.positions[self._given :] + 1
            count = len(of_plain) if until is None else int(np.searchsorted(of_plain, until))
            if count:
                parts.append(self._plain.batch(self._given, self._given + count))
                orders.append(of_plain[:count])
                self._given += count
        if self._rows:
            parts.append(build_batch(self._name, self._rows, self._utc_offset_ns))
            orders.append(np.array(self._orders, np.int64))
            self._rows, self._orders = [], []
        if parts:
            yield from self._give(_interleave(parts, np.concatenate(orders)))

    def rest(self) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Give what was too little for a batch."""
        if self._made:
            yield self._name, pa.concat_batches(self._made)
            self._made, self._made_rows = [], 0

    def _give(self, batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
        while self._made_rows + batch.num_rows >= ROWS_AT_ONCE:
            missing = ROWS_AT_ONCE - self._made_rows
            yield self._name, pa.concat_batches([*self._made, batch.slice(0, missing)])
            self._made, self._made_rows = [], 0
            batch = batch.slice(missing)
        if batch.num_rows:
            self._made.append(batch)
            self._made_rows += batch.num_rows


def _interleave(parts: list[pa.RecordBatch], orders: np.ndarray) -> pa.RecordBatch:
    if len(parts) == 1:
        return parts[0]
    return pa.concat_batches(parts).take(pa.array(np.argsort(orders, kind="stable")))
