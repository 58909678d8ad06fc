"""The events and signals tables of a host: lifetimes by columns, the rest one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from tracer.replay.replay import Piece
from tracer.report.jsonlines import event_to_json
from tracer.tables.lifetime_rows import ContainerOf, build_lifetime_rows
from tracer.tables.tables import Row, build_batch, event_row


def merge_pieces(
    names: Iterable[str], pieces: Iterable[Piece], utc_offset_ns: int, container_of: ContainerOf
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Make the batches of some tables from one pass through a capture of a host.

    Args:
        names: Of the tables: events, signals or both.
        pieces: What is in the capture, in order.
        utc_offset_ns: CLOCK_REALTIME minus CLOCK_BOOTTIME.
        container_of: The container of a namespace, as far as the pieces show.
    """
    wanted = set(names)
    for piece in pieces:
        places: list[int] = []
        lines: list[Row] = []
        for place, annotated in piece.annotated:
            line = event_to_json(annotated, utc_offset_ns)
            if line is not None:
                places.append(place)
                lines.append(line)
        if "signals" in wanted and (
            signals := [line for line in lines if line["kind"] == "signal"]
        ):
            yield "signals", build_batch("signals", signals, utc_offset_ns)
        if "events" not in wanted:
            continue
        parts = []
        if lines:
            parts.append(build_batch("events", [event_row(line) for line in lines], utc_offset_ns))
        if len(piece.lifetimes):
            parts.append(build_lifetime_rows(piece.lifetimes, utc_offset_ns, container_of))
        if len(parts) == 1:
            yield "events", parts[0]
        elif parts:
            order = np.argsort(np.concatenate([places, piece.places]), kind="stable")
            yield "events", pa.concat_batches(parts).take(pa.array(order))
