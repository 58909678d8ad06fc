"""What becomes of the records that wait: kept in a capture, decoded, fed to the correlator."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tracer.model.events import Event
from tracer.session.intake import CHUNK, Intake
from tracer.session.recorder import Recorder

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tracer.session.live_sieve import LiveSieve

_SIFTED_CHUNK = 32_768
"""To search a batch takes a millisecond, and something for each record."""


class Feeding:
    """Works off the backlog of one trace.

    Args:
        intake: Where records wait.
        recorder: Keeps them all, in the same order, or None.
        feed: Takes each event, or None: records are kept and that is all.
        sieve: Passes over ordinary lives, or None.
    """

    def __init__(
        self,
        intake: Intake,
        recorder: Recorder | None,
        feed: Callable[[Event], None] | None,
        sieve: LiveSieve | None,
    ) -> None:
        from tracer.kernel import clock
        from tracer.wire.decode import Decoder

        self._intake = intake
        self._recorder = recorder
        self._feed = feed
        self._sieve = sieve
        self._clock = clock
        self._decoder = Decoder(platform.machine())

    @property
    def is_sifted(self) -> bool:
        """Whether ordinary lives are passed over."""
        return self._sieve is not None

    @property
    def holds_much(self) -> bool:
        """Whether records had better gather: what is held is looked through with each batch."""
        return self._sieve is not None and self._sieve.holds_much

    @property
    def held_due_in_s(self) -> float | None:
        """When to call :meth:`feed_held`, whatever comes; None: nothing is held."""
        due_ns = self._sieve.due_ns if self._sieve is not None else None
        if due_ns is None:
            return None
        return max(0.0, (due_ns - self._clock.boot_now_ns()) / 1e9)

    def work_off(self, *, until_s: float | None) -> None:
        """Work off what waits, and go on emptying the ring.

        Args:
            until_s: Stop then (time.monotonic()); None works off all that there is, and
                leaves the ring alone.
        """
        since_pull = 0
        while self._intake.has_backlog and (until_s is None or time.monotonic() < until_s):
            since_pull += self._work_off_some()
            if until_s is not None and since_pull >= CHUNK:
                if self._sieve is None:
                    self._intake.pull()
                else:
                    # A few hundred are not worth looking through all that is held.
                    self._intake.pull_if_filling()
                since_pull = 0
        if self.held_due_in_s == 0 and not self._intake.has_backlog:
            self.feed_held()

    def feed_held(self) -> None:
        """Tell of the lives that may have been ordinary."""
        if self._sieve is not None:
            self._feed_records(self._sieve.take_held(), ())

    def _work_off_some(self) -> int:
        from tracer.wire.layout import join_records

        recorder = self._recorder
        if self._feed is None:
            # To keep records takes no time to speak of: as they came, none copied.
            parts = [self._intake.take_part()]
        elif self._sieve is None:
            parts = [self._intake.take_chunk()]
        else:
            parts = self._intake.take_parts(_SIFTED_CHUNK)
        if recorder is not None:
            parts = [join_records(parts)]
            recorder.begin(parts[0])
        if self._sieve is not None:
            self._sift(self._sieve, parts)
        elif self._feed is not None:
            self._feed_records(parts[0])
        if recorder is not None:
            recorder.end()
        return sum(len(part) for part in parts)

    def _sift(self, sieve: LiveSieve, parts: list[npt.NDArray[np.void]]) -> None:
        from tracer.wire.layout import gather_records, join_records

        chosen = sieve.choose(parts)
        self._feed_records(chosen.held, ())
        if chosen.positions is None:
            self._feed_records(join_records(parts))
        else:
            records = gather_records(parts, chosen.positions)
            self._feed_records(records, chosen.positions.tolist())
        sieve.settle()

    def _feed_records(
        self, records: npt.NDArray[np.void], positions: Sequence[int] | None = None
    ) -> None:
        """Decode and feed records.

        Args:
            records: In order.
            positions: Their places among those the recorder has in hand, none if they are
                older; None = all of them.
        """
        if self._feed is None:
            return
        recorder = self._recorder
        if positions is None:
            positions = range(len(records))
        for begin in range(0, len(records), CHUNK):
            if begin:
                # Where little was passed over, the ring does not wait for all the rest.
                self._intake.pull_if_filling()
            events = self._decoder.decode_batch(records[begin : begin + CHUNK])
            for number, event in enumerate(events, begin):
                if recorder is not None and positions:
                    recorder.position = positions[number] + 1
                self._feed(event)
