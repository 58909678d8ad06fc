"""A capture of a host piece by piece: plain lives as columns, all else as events.

There is one correlator, and what the columns say is what it would conclude
(:mod:`tracer.session.plain_lives`); tests hold the two ways equal, line by line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from tracer.correlate.correlator import Correlator
from tracer.model.annotated import Annotated
from tracer.model.events import AttachedEvent, ContainerEvent
from tracer.session.plain_lives import PlainLives, find_plain_lives
from tracer.wire.decode import Decoder
from tracer.wire.event_json import SideEvent
from tracer.wire.record_columns import RecordColumns

PIECE_RECORDS = 250_000
"""Some 70 MB as records; a life that goes over its edge is left to the correlator."""
_CHUNK = 8192

Told = tuple[int, Annotated]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some time of a trace.

    Args:
        columns: Its records.
        lives: The plain lives among them, or None.
        told: Everything else with what was concluded of it, each with its place:
            ``2 * position + 1`` of a record, ``2 * position`` of what came before
            the record there. To be exhausted before the next piece.
    """

    columns: RecordColumns
    lives: PlainLives | None
    told: Iterator[Told]


def read_pieces(
    items: Iterable[RecordColumns | SideEvent], correlator: Correlator, machine: str
) -> Iterator[Piece]:
    """Go through a capture.

    Args:
        items: What is in it, in order.
        correlator: New; it gets what plain lives would have told it, too.
        machine: ``uname -m`` of the host traced.
    """
    decoder = Decoder(machine)
    for columns, events in _gather(items):
        lives = None
        if not any(_shares_pidns(event) for _, event in events):
            lives = find_plain_lives(columns, correlator)
        told = _tell(columns, events, lives, correlator, decoder)
        yield Piece(columns, lives, told)
        for _ in told:
            pass
        if lives is not None:
            lives.settle(correlator)


def _gather(
    items: Iterable[RecordColumns | SideEvent],
) -> Iterator[tuple[RecordColumns, list[tuple[int, SideEvent]]]]:
    """Join batches; events go with the number of records before them."""
    parts: list[RecordColumns] = []
    events: list[tuple[int, SideEvent]] = []
    count = 0
    for item in items:
        if not isinstance(item, RecordColumns):
            events.append((count, item))
            continue
        parts.append(item)
        count += len(item)
        if count >= PIECE_RECORDS:
            yield RecordColumns(batch for part in parts for batch in part.batches), events
            parts, events, count = [], [], 0
    if parts or events:
        yield RecordColumns(batch for part in parts for batch in part.batches), events


def _shares_pidns(event: SideEvent) -> bool:
    if isinstance(event, AttachedEvent):
        return not all(each.has_own_pidns for each in event.target.containers)
    return isinstance(event, ContainerEvent) and not event.container.has_own_pidns


def _tell(
    columns: RecordColumns,
    events: list[tuple[int, SideEvent]],
    lives: PlainLives | None,
    correlator: Correlator,
    decoder: Decoder,
) -> Iterator[Told]:
    """Feed what is no plain life's."""
    rows = np.arange(len(columns))
    if lives is not None:
        rows = np.delete(rows, lives.rows)
    begin = 0
    for before, event in [*events, (len(columns), None)]:
        end = int(np.searchsorted(rows, before))
        for first in range(begin, end, _CHUNK):
            some = rows[first : min(first + _CHUNK, end)]
            decoded = decoder.decode_batch(columns.records(some))
            for position, record in zip(some.tolist(), decoded, strict=True):
                annotated = correlator.feed(record)
                if annotated is not None:
                    yield 2 * position + 1, annotated
        begin = end
        if event is not None:
            annotated = correlator.feed(event)
            if annotated is not None:
                yield 2 * before, annotated
