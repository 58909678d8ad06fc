"""When records are taken out of the ring: at once after a silence, else by the batch.

This is the only place that decides it. The queue empties the ring, the loop, the
dispatcher and a waiting sink only say what they are doing meanwhile.
"""

from __future__ import annotations

import select
import time

from tracer.live.record_queue import CHUNK, RecordQueue, Source

_BATCH_S = 0.02
_UNSEEN_BATCH_S = 0.1
"""Where no one watches; a sender may still be there to be read about."""
_STORM_BATCH_S = 0.5
"""No one waits for a line about an uneventful lifetime, and larger batches are cheaper. An
event with a record of its own ends the wait."""
_URGENT_S = 0.04
"""In a storm, a kill is shown within 50 ms; each time costs as much as a thousand records."""
_STORM_RECORDS_A_S = 2_000
_SHORTEST_SLICE_S = 0.02
"""Each look at the ring comes with cold caches: it costs a quarter of a millisecond."""
_LONGEST_SLICE_S = 0.1
"""The longest wait after a storm is over, or while the loop has something else to do."""
_ROOM_S = 0.03
"""While records gather: the ring is emptied when it may be full this soon, which leaves time
for a slice and for a sleep that takes longer than it should."""
_FILLING = 0.25
"""While records are worked off, or a sink waits: the ring is emptied when this full, which
leaves three quarters of it for as long as that takes."""
_PROMPT_LOOKS = 4


class DrainPolicy:
    """Lets records gather in the ring, for each wake-up costs more than a record.

    Args:
        queue: Where they go.
        source: Where the ring is.
        is_seen: Whether someone watches; without, they gather longer.
        gathers: Whether the ring may also fill while records are worked off: on a host
            larger batches are cheaper.
    """

    def __init__(
        self, queue: RecordQueue, source: Source, *, is_seen: bool, gathers: bool = False
    ) -> None:
        self._queue = queue
        self._source = source
        self._poll = select.poll()
        self._urgent = select.poll()
        self._is_seen = is_seen
        self._gathers = gathers
        self._is_storm = False
        self._since_drain = 0

    def begin(self) -> None:
        """Watch the ring, once the source is attached."""
        self._poll.register(self._source.fileno(), select.POLLIN)
        self._urgent.register(self._source.urgent_fileno(), select.POLLIN)

    def drain(self, *, has_records: bool) -> None:
        """Empty the ring in a turn of the loop.

        Args:
            has_records: Whether the loop was woken for records; else it has something
                else to do, and takes only what is there.
        """
        if has_records and not self._queue.has_backlog:
            self._drain_batch()
        else:
            self._queue.pull()

    def drain_after(self, number: int) -> None:
        """Empty the ring, or let it gather, after this many more records were worked off."""
        self._since_drain += number
        if self._since_drain < CHUNK:
            return
        self._since_drain = 0
        if self._gathers:
            self.drain_if_filling()
        else:
            self._queue.pull()

    def drain_if_filling(self) -> int:
        """Empty the ring if it might be full soon.

        Returns:
            How many records were in it.
        """
        return self._queue.pull() if self._is_filling else 0

    def drain_while_waiting(self) -> None:
        """Empty the ring if it might be full soon, in the midst of an event."""
        if self._is_filling:
            self._queue.spill()

    @property
    def _is_filling(self) -> bool:
        return not self._queue.is_finished and self._source.filled >= _FILLING

    def _drain_batch(self) -> None:
        """Take out what is there and what comes within a batch's time.

        The sender of a signal may exit in a moment: the first few records after a
        silence are looked at as they come.
        """
        began = time.monotonic()
        batch_s = _BATCH_S if self._is_seen else _UNSEEN_BATCH_S
        until = began + (_STORM_BATCH_S if self._is_storm else batch_s)
        records = 0
        for _ in range(_PROMPT_LOOKS):
            records += self._queue.pull()
            # Once a storm is over there is nothing to wait for.
            left = min(until, began + batch_s) - time.monotonic()
            if left <= 0 or not self._poll.poll(left * 1000):
                break
        else:
            records += self._let_gather(until)
        self._is_storm = records > _STORM_RECORDS_A_S * (time.monotonic() - began)

    def _let_gather(self, until: float) -> int:
        records = 0
        is_urgent = False
        room_s = -1.0
        while (left := until - time.monotonic()) > 0:
            had_s, room_s = room_s, self._queue.room_lasts_s
            if room_s == had_s:
                # Nothing has come since: the storm is over.
                break
            slice_s = min(left, max(_SHORTEST_SLICE_S, room_s / 2), _LONGEST_SLICE_S)
            if is_urgent:
                time.sleep(slice_s)
            elif self._urgent.poll(slice_s * 1000):
                is_urgent = True
                until = min(until, time.monotonic() + _URGENT_S)
            if self._queue.room_lasts_s < _ROOM_S:
                records += self.drain_if_filling()
        return records + self._queue.pull()
