"""What becomes of the records that wait: kept in a capture, decoded, fed to the correlator."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tracer.live.drain_policy import DrainPolicy
from tracer.live.lag import Lag
from tracer.live.passed import PassedLifetimes, PassedSink
from tracer.live.pending_readings import PendingReadings
from tracer.live.record_queue import CHUNK, RecordQueue
from tracer.live.recorder import Recorder
from tracer.model.events import Event, LossEvent, ObservationEvent

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tracer.correlate.correlator import Correlator
    from tracer.procfs.clock import Clock

_HOST_CHUNK = 32_768
"""Most of a host's records are counted by whole columns."""


class Dispatcher:
    """Works off the backlog of one trace.

    Args:
        queue: Where records wait.
        drain_policy: Decides when the ring is emptied meanwhile.
        recorder: Keeps them all, in the same order, or None.
        feed: Takes each event, or None: records are only kept.
        pending: Readings that wait for their place between two records.
        on_lag: Gets reports of how far behind this is.
        clock: The clock the kernel stamps records with.
        correlator: Where uneventful lifetimes are only counted; or None.
        passed_sink: Shows those.
    """

    def __init__(
        self,
        queue: RecordQueue,
        drain_policy: DrainPolicy,
        recorder: Recorder | None,
        feed: Callable[[Event], None] | None,
        pending: PendingReadings,
        on_lag: Callable[[ObservationEvent], None],
        clock: Clock,
        correlator: Correlator | None = None,
        passed_sink: PassedSink | None = None,
    ) -> None:
        # numpy takes its time to import: the compile child is at work by now.
        from tracer.wire.decode import Decoder

        self._queue = queue
        self._drain_policy = drain_policy
        self._recorder = recorder
        self._feed = feed
        self._pending = pending
        self._on_lag = on_lag
        self._lag = Lag()
        self._clock = clock
        self._correlator = correlator
        self._passed_sink = passed_sink
        self._decoder = Decoder(platform.machine())

    def work_off(self, *, until_s: float | None, is_last: bool = False) -> None:
        """Work off what waits, and go on emptying the ring.

        Args:
            until_s: Stop then (time.monotonic()); None works off all that there is.
            is_last: Leave the ring alone; what waits was drained when the end was asked for.
        """
        while self._queue.has_backlog and (until_s is None or time.monotonic() < until_s):
            number = self._work_off_some(is_live=not is_last)
            if not is_last:
                self._drain_policy.drain_after(number)
        if not self._queue.has_backlog:
            self._pending.pass_until(self._queue.passed_ns)

    def keep_rest(self) -> LossEvent | None:
        """Conclude nothing from what still waits: it is kept in the capture, if there is one.

        Returns:
            How many records that were, by kind; None: there were none.
        """
        from tracer.wire.header import KIND_NAMES

        counts: Counter[str] = Counter()
        since_ns: int | None = None
        while self._queue.has_backlog:
            part = self._queue.take_part()
            since_ns = int(part["boot_ns"][0]) if since_ns is None else since_ns
            counts.update(KIND_NAMES[int(kind)] for kind in part["kind"])
            if self._recorder is not None:
                self._recorder.begin(part)
            self._pending.pass_until(int(part["boot_ns"][-1]))
            if self._recorder is not None:
                self._recorder.end()
        if since_ns is None or self._feed is None:
            return None
        return LossEvent(self._clock.boot_now_ns(), dict(counts), since_ns)

    def note_final_lag(self) -> None:
        """Report how far behind this was at the end."""
        self._note_lag(self._lag.finish(self._clock.boot_now_ns()))

    def _note_lag(self, lag: ObservationEvent | None) -> None:
        if lag is not None:
            self._on_lag(lag)

    def _work_off_some(self, *, is_live: bool) -> int:
        recorder = self._recorder
        if self._feed is None:
            # Keeping records takes hardly any time: as they came, none copied.
            records = self._queue.take_part()
        elif self._correlator is None:
            records = self._queue.take_chunk()
        else:
            records = self._queue.take_chunk(_HOST_CHUNK)
        oldest_ns, newest_ns = int(records["boot_ns"][0]), int(records["boot_ns"][-1])
        if is_live:
            # What is worked off at the end was drained when the end was asked for.
            self._note_lag(self._lag.note(oldest_ns, self._clock.boot_now_ns()))
        if recorder is not None:
            recorder.begin(records)
        if self._correlator is not None:
            self._pass(records, self._correlator)
        elif self._feed is not None:
            self._feed_records(records, range(len(records)), None)
        self._pending.pass_until(newest_ns)
        if recorder is not None:
            recorder.end()
        return len(records)

    def _pass(self, records: npt.NDArray[np.void], correlator: Correlator) -> None:
        import numpy as np

        from tracer.correlate.passing import pass_lifetimes
        from tracer.wire.layout import take_records
        from tracer.wire.whole_lifetimes import find_whole_lifetimes

        passed = pass_lifetimes(correlator, find_whole_lifetimes(records))
        number = int(np.count_nonzero(passed))
        if not number:
            self._feed_records(records, range(len(records)), None)
            return
        rest = np.flatnonzero(~passed)
        shown = self._begin_showing(records, np.flatnonzero(passed), correlator)
        self._feed_records(take_records(records, rest), rest.tolist(), shown)
        correlator.pass_time(int(records["boot_ns"][-1]))
        if shown is not None:
            shown.show_rest()

    def _begin_showing(
        self, records: npt.NDArray[np.void], places: npt.NDArray[np.intp], correlator: Correlator
    ) -> PassedLifetimes | None:
        from tracer.wire.layout import take_records

        if self._passed_sink is None:
            return None
        lifetimes = take_records(records, places)
        self._passed_sink.begin(lifetimes, correlator.scopes.container_in)
        return PassedLifetimes(
            self._passed_sink, self._pending, places.tolist(), lifetimes["boot_ns"].tolist()
        )

    def _feed_records(
        self,
        records: npt.NDArray[np.void],
        positions: Sequence[int],
        passed: PassedLifetimes | None,
    ) -> None:
        """Decode and feed records, given their places among those the recorder has in hand."""
        if self._feed is None:
            return
        recorder = self._recorder
        # When each was emitted: its events may be older.
        stamps = records["boot_ns"].tolist()
        for begin in range(0, len(records), CHUNK):
            if begin:
                # Where few were uneventful, the ring does not wait for all the rest.
                self._drain_policy.drain_if_filling()
            decoded = self._decoder.decode_each(records[begin : begin + CHUNK])
            for number, events in enumerate(decoded, begin):
                boot_ns = stamps[number]
                if passed is not None:
                    passed.show_before(positions[number], boot_ns)
                due_ns = self._pending.due_ns
                if due_ns is not None and due_ns < boot_ns:
                    self._pending.pass_until(boot_ns - 1)
                if recorder is not None:
                    recorder.position = positions[number] + 1
                for event in events:
                    self._feed(event)
