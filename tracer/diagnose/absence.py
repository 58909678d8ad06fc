"""What did not happen: judged here alone, and only for the span that was seen."""

from __future__ import annotations

from functools import cached_property

from tracer.correlate.process import ProcessState
from tracer.correlate.scope import Scope
from tracer.correlate.stops import SURVIVED_AFTER_NS, StopState
from tracer.correlate.trace_state import TraceState
from tracer.model.claims.absence import OthersAbsence, SignalAbsence
from tracer.model.claims.claim import Certainty, Span

_BEFORE = "what was sent before tracing began"
_LOST_SIGNALS = "the records of signals that were lost"
_LOST = "the records that were lost"
_SIGNAL = ("signal",)
_SECOND_NS = 1_000_000_000


class Absences:
    """Judges claims of absence.

    Args:
        trace: Everything known.
        has_forgotten: Some processes were only counted, and are known no more.
    """

    def __init__(self, trace: TraceState, *, has_forgotten: bool = False) -> None:
        self._trace = trace
        self._has_forgotten = has_forgotten

    def stop_signal_before(
        self, scope: Scope, until_ns: int | None, after_ns: int | None = None
    ) -> SignalAbsence:
        """The claim that no stop signal was sent to a scope's init before an instant.

        It is to be made only where none was seen.

        Args:
            scope: Whose init.
            until_ns: The instant; None = the end of the trace.
            after_ns: When one was sent that it survived: the time since then is meant.

        Units:
            until_ns, after_ns: CLOCK_BOOTTIME, ns.
        """
        trace = self._trace
        end_ns = trace.now_ns if until_ns is None else until_ns
        begin_ns, born_ns = trace.begin_ns or 0, self.running_since_ns(scope)
        meant_ns = born_ns if after_ns is None else max(born_ns, after_ns + 1)
        since_ns = max(meant_ns, begin_ns)
        # An earlier signal is no part of this stop.
        counts_ns = end_ns - counts_for_ns(scope)
        is_late = meant_ns < begin_ns
        is_lost = trace.losses.any_between(since_ns, end_ns, _SIGNAL)
        certainty = Certainty.BOUNDED if is_late else Certainty.SEEN
        return SignalAbsence(
            certainty=Certainty.UNKNOWN if is_lost else certainty,
            span=Span(since_ns, end_ns),
            needs=(_BEFORE,) * is_late + (_LOST_SIGNALS,) * is_lost,
            about=scope.init,
            rules_out_stop=(not is_late or begin_ns <= counts_ns)
            and not trace.losses.any_between(max(since_ns, counts_ns), end_ns, _SIGNAL),
        )

    def stop_signal_to(
        self, scope: Scope | None, state: ProcessState, stop: StopState | None
    ) -> SignalAbsence:
        """The claim that a process was not sent the signal of its stop.

        In a stop that a stop signal began, the time from then on is meant. Without one,
        all of its life is, and that no stop was under way whose begin was not
        seen. It is to be made only where none was seen.

        Args:
            scope: What it was stopped with, or None.
            state: The process.
            stop: That stop, or None.
        """
        trace = self._trace
        end_ns = state.exit_ns if state.exit_ns is not None else trace.now_ns
        born_ns = state.born_ns
        if scope is not None and scope.init == state.key:
            born_ns = self.running_since_ns(scope)
        # Of who had exited before the stop began all of its life is meant: whether the
        # zombie was there for the stop rests on when it was reaped, which may be a bound.
        if stop is not None and stop.stop_signal is not None and end_ns >= stop.begin_ns:
            since_ns = max(born_ns, stop.begin_ns)
            is_late = False
            is_lost = trace.losses.any_between(since_ns, end_ns, _SIGNAL)
        else:
            begin_ns = trace.begin_ns or 0
            since_ns = max(born_ns, begin_ns)
            counts_ns = max(map(counts_for_ns, state.scopes), default=counts_for_ns(None))
            is_late = born_ns < begin_ns or any(
                self.running_since_ns(one) < begin_ns and since_ns - begin_ns < counts_ns
                for one in state.scopes
            )
            is_lost = trace.losses.any_between(since_ns - counts_ns, end_ns, _SIGNAL)
        return SignalAbsence(
            certainty=Certainty.UNKNOWN if is_lost or is_late else Certainty.SEEN,
            span=Span(since_ns, end_ns),
            needs=(_BEFORE,) * is_late + (_LOST_SIGNALS,) * is_lost,
            about=state.key,
            rules_out_stop=not is_lost and not is_late,
        )

    def running_since_ns(self, scope: Scope) -> int:
        """Since when a scope's init runs: its birth, as seen by other processes.

        One that this program started itself was held until it was traced: no process
        had reason to signal it before it executed its program.
        """
        state = self._trace.table.get(scope.init)
        if scope.is_ours and state is not None and state.program_ns is not None:
            return state.program_ns
        return scope.init.start_boot_ns

    def others(self, scope: Scope, stop: StopState) -> OthersAbsence:
        """The claim that init had no other process in its stop.

        It is to be made only where no other took part.
        """
        trace = self._trace
        init = trace.table.get(scope.init)
        begin_ns = trace.begin_ns or 0
        is_doubtful = trace.losses.any_between(min(stop.begin_ns, begin_ns), stop.end_ns) or (
            init is not None and init.is_seen_late
        )
        return OthersAbsence(
            certainty=Certainty.UNKNOWN if is_doubtful else Certainty.SEEN,
            span=Span(stop.begin_ns, stop.end_ns),
            needs=(_LOST,) if is_doubtful else (),
            about=scope.init,
            was_left_alone=self._has_forgotten or scope in self._with_others,
        )

    @cached_property
    def _with_others(self) -> set[Scope]:
        return {
            scope
            for state in self._trace.table
            for scope in state.scopes
            if scope.init != state.key
        }


def counts_for_ns(scope: Scope | None) -> int:
    """How long a stop signal counts as that of a stop under way."""
    container = scope.container if scope is not None else None
    grace_s = container.stop_timeout_s if container is not None else None
    return SURVIVED_AFTER_NS + int((grace_s or 0) * _SECOND_NS)
