"""Which of the stops that a report lists a process, or another stop, is part of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tracer.correlate.members import took_part
from tracer.correlate.process import ProcessState
from tracer.correlate.scope import Scope
from tracer.correlate.stops import StopState
from tracer.correlate.trace_state import TraceState


class StopIndex:
    """Finds a listed stop by who took part in it.

    Args:
        trace: Everything known.
        listed: The stops of the report, in its order.
    """

    def __init__(self, trace: TraceState, listed: Sequence[tuple[Scope, StopState]]) -> None:
        self._trace = trace
        self._numbers = {id(stop): number for number, (_, stop) in enumerate(listed)}

    def of_process(self, state: ProcessState) -> int | None:
        """The stop that a process ended in, else the last one it was there for.

        Where namespaces are nested, that of the innermost; a namespace's init has
        part in the stops of its own namespace.
        """
        return self._latest(self._around(state, state.scopes), state.exit_ns)

    def outer(self, scope: Scope, stop: StopState) -> int | None:
        """The stop of a namespace around, of which another stop was a part."""
        init = self._trace.table.get(scope.init)
        if init is None or scope not in init.scopes:
            return None
        around = init.scopes[init.scopes.index(scope) + 1 :]
        return self._latest(
            (
                outer
                for outer in self._around(init, around)
                if stop.end_ns is None or stop.end_ns >= outer.begin_ns
            ),
            stop.begin_ns,
        )

    def _around(self, state: ProcessState, scopes: Iterable[Scope]) -> Iterable[StopState]:
        for scope in scopes:
            is_led = scope.init == state.key
            for stop in reversed(scope.stops):
                if id(stop) not in self._numbers:
                    continue
                if is_led or took_part(self._trace, scope, stop, state):
                    yield stop

    def _latest(self, stops: Iterable[StopState], boot_ns: int | None) -> int | None:
        there = list(stops)
        for stop in there:
            is_over = stop.end_ns is not None and (boot_ns is None or stop.end_ns < boot_ns)
            if not is_over and (boot_ns is None or stop.begin_ns <= boot_ns):
                return self._numbers[id(stop)]
        return self._numbers[id(there[0])] if there else None
