"""When records are taken out of the ring: at once after a silence, else by the batch."""

from __future__ import annotations

import select
import time

from tracer.session.feeding import Feeding
from tracer.session.intake import Intake

_BATCH_S = 0.02
_UNSEEN_BATCH_S = 0.1
"""Where nobody looks on; a sender may still be there to be read about."""
_STORM_BATCH_S = 0.5
"""Where nobody looks on, or ordinary lives are passed over: the more at once, the cheaper."""
_STORM_RECORDS_A_S = 10_000
_SHORTEST_SLICE_S = 0.02
"""Each look at the ring comes with cold caches: it costs a quarter of a millisecond."""
_ROOM_S = 0.03
"""So long the ring lasts, even at the worst, when it is emptied: for a slice, and a sleep
that takes longer than it should."""
_PROMPT_LOOKS = 4


class Gathering:
    """Lets records gather in the ring, for each wake-up costs more than a record.

    Args:
        intake: Where they go.
        ring_fd: Readable when there are any.
        is_seen: Whether somebody looks on; without, they gather longer.
        feeding: Who takes them from there.
    """

    def __init__(self, intake: Intake, ring_fd: int, feeding: Feeding, *, is_seen: bool) -> None:
        self._intake = intake
        self._feeding = feeding
        self._poll = select.poll()
        self._poll.register(ring_fd, select.POLLIN)
        self._is_seen = is_seen
        self._is_storm = False

    def gather(self) -> None:
        """Take out what is there and what comes within a batch's time.

        Who sends a signal may be gone in a moment: the first few records after a
        silence are looked at as they come.
        """
        began = time.monotonic()
        until = began + self._batch_s()
        records = 0
        for _ in range(_PROMPT_LOOKS):
            records += self._intake.pull()
            left = until - time.monotonic()
            if left <= 0 or not self._poll.poll(left * 1000):
                break
        else:
            while (left := until - time.monotonic()) > 0:
                time.sleep(min(left, max(_SHORTEST_SLICE_S, self._intake.room_lasts_s / 2)))
                if self._intake.room_lasts_s < _ROOM_S:
                    records += self._intake.pull_if_filling()
            records += self._intake.pull()
        self._is_storm = records > _STORM_RECORDS_A_S * (time.monotonic() - began)

    def _batch_s(self) -> float:
        is_cheaper = self._feeding.is_sifted or not self._is_seen
        if (self._is_storm and is_cheaper) or self._feeding.holds_much:
            return _STORM_BATCH_S
        return _BATCH_S if self._is_seen else _UNSEEN_BATCH_S
