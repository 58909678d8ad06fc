"""Passing over ordinary lives while a whole host is traced live.

A storm of short-lived processes costs a live trace more than all the rest, and
nothing of it is shown. What begins and ends within one batch is passed over by
whole columns (:mod:`tracer.session.ordinary_lives`); all else goes the usual way, so
that the report is the same.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tracer.correlate.correlator import Correlator
from tracer.session.ordinary_lives import Known, Sieve, sift_batch

WORTH_IT_RECORDS = 1024
"""A smaller batch is decoded sooner than searched."""


class LiveSieve:
    """The sieve before one live correlator.

    Args:
        correlator: Of a whole host; it forgets uneventful processes.
        on_passed: Told how many lives were passed over.
    """

    def __init__(self, correlator: Correlator, on_passed: Callable[[int], object]) -> None:
        self._correlator = correlator
        self._on_passed = on_passed
        self._sieve: Sieve | None = None

    def choose(self, records: npt.NDArray[np.void]) -> npt.NDArray[np.intp] | None:
        """Pick the records to decode, in their order; feed them, then :meth:`settle`.

        Returns:
            Their positions, or None for all of them.
        """
        self._sieve = None
        scopes = self._correlator.scopes
        if len(records) < WORTH_IT_RECORDS:
            return None
        if not all(container.has_own_pidns for container in scopes.containers):
            # Who belongs to one is told by cgroup: the columns do not say.
            return None
        table = self._correlator.table
        sieve = sift_batch(
            records,
            self._correlator.options.min_zombie_ns,
            Known(
                pids=np.sort(np.fromiter(table.host_pids(), np.uint64)),
                name_of=lambda key: state.comm if (state := table.get(key)) is not None else None,
            ),
        )
        if not len(sieve.ordinary):
            return None
        self._sieve = sieve
        return np.flatnonzero(sieve.choose(records.__getitem__, len(records)))

    def settle(self) -> None:
        """Add what the records passed over would have, once the others are fed."""
        if self._sieve is not None:
            self._sieve.settle(self._correlator)
            self._on_passed(len(self._sieve.ordinary))
            self._sieve = None
