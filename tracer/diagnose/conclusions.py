"""Everything that a trace shows, as claims: what all outputs are worded from.

Made once for a report. Who words something (headline, timeline, findings, the fields of
the report, ``why``) takes it from here, so that no two outputs can disagree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

from tracer.correlate import causes
from tracer.correlate.correlator import Correlator
from tracer.correlate.members import count_members
from tracer.correlate.process import ProcessState
from tracer.correlate.scope import Scope
from tracer.correlate.stops import MemberCounts, StopState, StopTrigger
from tracer.diagnose.absence import Absences
from tracer.diagnose.evidence import commands_read
from tracer.diagnose.exit_codes import PassedOn, handled_before
from tracer.diagnose.hold_up import holds_of
from tracer.diagnose.wishes import stops_reported
from tracer.model.claims.claim import Certainty, Evidence
from tracer.model.claims.end import ProcessEnd
from tracer.model.claims.hold import Hold
from tracer.model.claims.stop import StopCourse
from tracer.model.identity import ProcessKey
from tracer.model.signals import SIGRTMAX
from tracer.model.verdicts import Cause, ExitCodeOrigin, StopSignalDisposition

_SHELL_BASE = 128
_MAY_ESCALATE = frozenset({"sigkill", "cgroup_kill", "unknown"})
"""What may have ended a grace whose begin was not seen."""
UNKNOWN_TRIGGER = "unknown"
"""What began a stop whose init was ended by something that was not seen."""


class Conclusions:
    """The claims of one trace, each made when it is first asked for.

    Args:
        correlator: The state that the trace reached.

    Attributes:
        correlator: The same.
        absence: Judges what did not happen.
    """

    def __init__(self, correlator: Correlator) -> None:
        self.correlator = correlator
        self.absence = Absences(
            correlator.trace,
            has_forgotten=bool(correlator.retention.uneventful or correlator.retention.processes),
        )
        self._ends: dict[ProcessKey, ProcessEnd | None] = {}
        self._stops: dict[int, StopCourse] = {}
        self._counts: dict[int, MemberCounts] = {}
        self._holds: dict[int, tuple[Hold, ...]] = {}

    @cached_property
    def passed_on(self) -> PassedOn:
        """Which exit codes pass on a child's death."""
        return PassedOn(self.correlator.table)

    @cached_property
    def commands(self) -> dict[ProcessKey, str]:
        """The command lines that were read, masked and cut."""
        return commands_read(self.correlator)

    def end(self, key: ProcessKey) -> ProcessEnd | None:
        """How a process ended; None where it was not seen to."""
        if key not in self._ends:
            state = self.correlator.table.get(key)
            self._ends[key] = self._end(state) if state is not None else None
        return self._ends[key]

    def death(self, key: ProcessKey) -> ProcessEnd | None:
        """How a process died by a signal; None where it did not, or was not seen to."""
        end = self.end(key)
        return end if end is not None and end.cause is not None else None

    def deaths(self) -> Iterator[ProcessEnd]:
        """Every death by a signal."""
        for state in self.correlator.table:
            death = self.death(state.key)
            if death is not None:
                yield death

    def stop(self, scope: Scope, stop: StopState) -> StopCourse:
        """How one stop of a scope went."""
        if id(stop) not in self._stops:
            self._stops[id(stop)] = self._stop(scope, stop)
        return self._stops[id(stop)]

    def holds(self, scope: Scope, stop: StopState) -> tuple[Hold, ...]:
        """Who held one stop of a scope up; none where it was not held up."""
        if id(stop) not in self._holds:
            self._holds[id(stop)] = holds_of(self.correlator, scope, stop)
        return self._holds[id(stop)]

    def counts(self, scope: Scope, stop: StopState) -> MemberCounts:
        """How the members of a stop ended."""
        if id(stop) not in self._counts:
            self._counts[id(stop)] = count_members(self.correlator.trace, scope, stop)
        return self._counts[id(stop)]

    def disposition(
        self, scope: Scope | None, state: ProcessState, stop: StopState | None
    ) -> StopSignalDisposition:
        """What a process did about its stop's signal."""
        if state.stop_signal is not None:
            return StopSignalDisposition(state.stop_signal.disposition.value)
        if scope is not None and stop is not None and scope.init == state.key:
            if self.stop(scope, stop).disposition is StopSignalDisposition.UNKNOWN:
                return StopSignalDisposition.UNKNOWN
        absence = self.absence.stop_signal_to(scope, state, stop)
        if absence.rules_out_stop:
            return StopSignalDisposition.NOT_SENT
        return StopSignalDisposition.UNKNOWN

    def _end(self, state: ProcessState) -> ProcessEnd | None:
        if state.exit_ns is None and state.status is None:
            return None
        sent = state.fatal_signal
        event = sent.event if sent is not None else None
        by_user = event is not None and causes.is_sent_by_user(event)
        sender = event.actor if event is not None and by_user else None
        victim = self.passed_on.by(state)
        evidence = []
        if event is not None:
            evidence.append(Evidence("signal", event.boot_ns, state.key))
        if state.exit_ns is not None:
            evidence.append(Evidence("exit", state.exit_ns, state.key))
        parents = {state.original_parent, state.snapshot.parent_key} - {None}
        certainty = Certainty.SEEN
        if state.status is None or (state.cause is not None and event is None):
            certainty = Certainty.UNKNOWN
        return ProcessEnd(
            certainty=certainty,
            evidence=tuple(evidence),
            about=state.key,
            comm=state.comm,
            boot_ns=state.exit_ns,
            status=state.status,
            cause=state.cause,
            signal=event,
            sender=sender,
            trigger=event.actor if event is not None and not by_user else None,
            is_by_parent=sender is not None and sender.key in parents,
            passed_on=victim.key if victim is not None else None,
            code_origin=self._code_origin(state, victim),
        )

    def _code_origin(
        self, state: ProcessState, victim: ProcessState | None
    ) -> ExitCodeOrigin | None:
        code = state.status.exit_code if state.status is not None else None
        signo = code - _SHELL_BASE if code is not None else 0
        if not 0 < signo <= SIGRTMAX:
            return None
        if victim is not None:
            return ExitCodeOrigin.PASSED_ON
        was_handled = handled_before(state)
        return ExitCodeOrigin.HANDLED_SIGNAL if was_handled else ExitCodeOrigin.UNKNOWN

    def _stop(self, scope: Scope, stop: StopState) -> StopCourse:
        event = stop.stop_signal
        unasked = None
        if event is not None:
            disposition = StopSignalDisposition(event.disposition.value)
        else:
            unasked = self.absence.stop_signal_before(
                scope, _until_ns(stop), stop.after_survived_ns
            )
            init = self.correlator.table.get(scope.init)
            if init and stop.kill and stops_reported(self.correlator, init, stop.kill):
                unasked = replace(unasked, rules_out_stop=False)
            disposition = (
                StopSignalDisposition.NOT_SENT
                if unasked.rules_out_stop
                else StopSignalDisposition.UNKNOWN
            )
        trigger = stop.trigger.value
        end = self.end(scope.init)
        if (
            stop.trigger is StopTrigger.INIT_EXIT
            and end is not None
            and (end.status is None or (end.cause is Cause.UNKNOWN and end.signal is None))
        ):
            trigger = UNKNOWN_TRIGGER
        lived_ns = None
        if stop.init_exit_ns is not None:
            lived_ns = max(0, stop.init_exit_ns - self.absence.running_since_ns(scope))
        return StopCourse(
            evidence=(Evidence("signal", event.boot_ns, scope.init),) if event is not None else (),
            needs=unasked.needs
            if unasked is not None and not unasked.rules_out_stop and trigger in _MAY_ESCALATE
            else (),
            init=scope.init,
            trigger=trigger,
            disposition=disposition,
            unasked=unasked,
            alone=None if self.counts(scope, stop).total else self.absence.others(scope, stop),
            lived_ns=lived_ns,
        )


def _until_ns(stop: StopState) -> int | None:
    """Until when a signal could have asked for what then happened."""
    return stop.kill.boot_ns if stop.kill is not None else stop.init_exit_ns
