"""The walk from PID 1 down to the process that held a stop up.

It is what a good engineer does by hand: who was still there, what each had made of its
signal, who waits for whom; until a process is found that holds up itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tracer.correlate.correlator import Correlator
from tracer.correlate.process import ProcessState, StopSignalSeen, responsible_for
from tracer.correlate.scope import Scope
from tracer.correlate.stops import StopState
from tracer.correlate.zombies import release_of
from tracer.diagnose.deaths import raised_again
from tracer.diagnose.member_readings import (
    MemberReading,
    is_init_program,
    is_shell,
    readings_of,
)
from tracer.model.claims.claim import Certainty, Evidence, Span
from tracer.model.claims.hold import CANNOT_RUN, HeldThread, Hold, HoldReason
from tracer.model.identity import ProcessKey
from tracer.model.signals import DEFAULT_IGNORED, Disposition

HELD_UP_NS = 1_000_000_000
"""A stop longer than this was held up by a process."""
_ONE_HELPER = 1
_READING_NEEDED = "a reading of /proc while the stop lasted"
_SIGNALS_NEEDED = "the signals that were lost"


def holds_of(correlator: Correlator, scope: Scope, stop: StopState) -> tuple[Hold, ...]:
    """Who held a stop up at the moment that counts; none where it was not held up.

    That moment is the SIGKILL of an escalation, init's end, or the end of the trace.
    """
    if stop.stop_signal is None:
        return ()
    if stop.kill is not None and stop.escalated:
        moment_ns = stop.kill.boot_ns
    elif stop.init_exit_ns is not None:
        moment_ns = stop.init_exit_ns
    else:
        moment_ns = stop.end_ns if stop.end_ns is not None else correlator.now_ns
    if not stop.escalated and moment_ns - stop.begin_ns < HELD_UP_NS:
        return ()
    return holds_at(correlator, scope, stop, moment_ns)


def holds_at(
    correlator: Correlator, scope: Scope, stop: StopState, moment_ns: int
) -> tuple[Hold, ...]:
    """Who held up the end of a scope's init at one moment of a stop."""
    init = correlator.table.get(scope.init)
    if init is None:
        return ()
    walk = _Walk(correlator, scope, stop, moment_ns)
    return tuple(walk.down(init, ()))


def holds_teardown(
    correlator: Correlator, stop: StopState, moment_ns: int, held_by: list[ProcessState]
) -> tuple[Hold, ...]:
    """Why each of those was there for whom a namespace's end waited."""
    return tuple(
        _at_teardown(correlator, stop, state, moment_ns)
        for state in sorted(held_by, key=lambda one: one.key)
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """Why a process holds up, before it is said of whom."""

    reason: HoldReason
    certainty: Certainty = Certainty.SEEN
    thread: HeldThread | None = None
    needs: tuple[str, ...] = ()


class _Walk:
    """One walk, at one moment.

    Args:
        correlator: Knows who was there, and what was read.
        scope: What is being stopped.
        stop: Which stop.
        moment_ns: When.
    """

    def __init__(
        self, correlator: Correlator, scope: Scope, stop: StopState, moment_ns: int
    ) -> None:
        self._correlator = correlator
        self._init = scope.init
        self._stop = stop
        self._moment_ns = moment_ns
        self._children: dict[ProcessKey, list[ProcessState]] = {}
        for key in sorted(stop.members - {scope.init}):
            state = correlator.table.get(key)
            if state is not None and _lives_at(state, moment_ns):
                parent = state.original_parent or state.snapshot.parent_key
                if parent is not None:
                    self._children.setdefault(parent, []).append(state)
        self._has_loss = correlator.losses.any_between(stop.begin_ns, moment_ns, ("signal",))

    def down(self, state: ProcessState, waiters: tuple[ProcessKey, ...]) -> Iterator[Hold]:
        """Find who holds a process up: itself, or those that it waits for."""
        reading = self._reading(state)
        seen = state.signalled_since(self._stop.begin_ns)
        found = _cannot_run(state, reading, self._moment_ns, was_stopped=self._was_stopped(state))
        if found is None or found.reason is not HoldReason.DYING:
            # A signal that is dropped or ignored is gone at once: nor would it have mattered
            # had the process been able to run.
            found = _takes_no_notice(seen) or found
        if found is None:
            below, certainty = self._waited_for(state, reading, seen)
            if below and state.key not in waiters:
                for child in below:
                    for hold in self.down(child, (*waiters, state.key)):
                        yield hold if certainty is Certainty.SEEN else _weakened(hold)
                return
            found = self._by_itself(state, reading, seen)
        yield self._hold(state, found, reading, seen, waiters)

    def _was_stopped(self, state: ProcessState) -> bool:
        """Whether it was surely stopped; a SIGCONT that was lost would end that."""
        if self._correlator.losses.any_between(0, self._moment_ns, ("signal",)):
            return False
        if self._stop.kill is not None and state.key == self._init:
            return self._stop.was_init_stopped
        return state.is_stopped

    def _reading(self, state: ProcessState) -> MemberReading | None:
        found = [
            one
            for one in reversed(
                readings_of(self._correlator, state.key, self._stop.begin_ns, self._moment_ns)
            )
            if one.values.get("state") is not None
        ]
        # The newest of those in which the most was read.
        return max(found, key=lambda one: (one.has_threads, one.has_freezer), default=None)

    def _waited_for(
        self, state: ProcessState, reading: MemberReading | None, seen: StopSignalSeen | None
    ) -> tuple[list[ProcessState], Certainty]:
        """Those a process waits for: they were there when it was sent its signal."""
        since_ns = seen.boot_ns if seen is not None else self._moment_ns
        children = [
            child for child in self._children.get(state.key, ()) if child.born_ns <= since_ns
        ]
        if not children:
            return [], Certainty.UNKNOWN
        signalled = [child for child in children if self._signalled_by(child, state)]
        if reading is not None and reading.is_set("is_waiting"):
            if not signalled and self._went_on(state, seen):
                # It waits for one of those that it has started since.
                return [], Certainty.UNKNOWN
            return children, Certainty.SEEN
        if signalled:
            # It forwarded the signal, and its end is theirs.
            is_known = reading is not None and reading.has_threads
            return signalled, Certainty.SEEN if is_known else Certainty.INFERRED
        if is_init_program(self._correlator, state):
            return children, Certainty.INFERRED
        return [], Certainty.UNKNOWN

    def _signalled_by(self, child: ProcessState, parent: ProcessState) -> bool:
        seen = child.signalled_since(self._stop.begin_ns)
        return seen is not None and seen.sender == parent.key

    def _by_itself(
        self, state: ProcessState, reading: MemberReading | None, seen: StopSignalSeen | None
    ) -> _Found:
        if seen is None:
            if self._has_loss:
                return _Found(HoldReason.UNKNOWN, Certainty.UNKNOWN, needs=(_SIGNALS_NEEDED,))
            return _Found(HoldReason.NOT_SIGNALLED)
        if seen.disposition is Disposition.BLOCKED:
            if reading is None:
                return _Found(HoldReason.UNKNOWN, Certainty.UNKNOWN, needs=(_READING_NEEDED,))
            is_left = reading.is_set("is_pending") and reading.is_set("is_blocked")
            return _Found(HoldReason.BLOCKED if is_left else HoldReason.HANDLING)
        if seen.disposition is Disposition.CAUGHT:
            if raised_again(state, seen.signo, self._moment_ns):
                return _Found(HoldReason.RAISED_AGAIN)
            if self._went_on(state, seen):
                return _Found(HoldReason.WENT_ON)
            if reading is None:
                return _Found(HoldReason.HANDLING, Certainty.INFERRED, needs=(_READING_NEEDED,))
            return _Found(HoldReason.HANDLING)
        return _Found(HoldReason.UNKNOWN, Certainty.UNKNOWN, needs=(_READING_NEEDED,))

    def _went_on(self, state: ProcessState, seen: StopSignalSeen | None) -> bool:
        """Whether a process has handled its signal, and has started several others since."""
        if seen is None or seen.disposition is not Disposition.CAUGHT:
            return False
        began = [
            child
            for key in self._stop.members
            if (child := self._correlator.table.get(key)) is not None
            and child.original_parent == state.key
            and seen.boot_ns < child.born_ns <= self._moment_ns
        ]
        return len(began) > _ONE_HELPER

    def _hold(
        self,
        state: ProcessState,
        found: _Found,
        reading: MemberReading | None,
        seen: StopSignalSeen | None,
        waiters: tuple[ProcessKey, ...],
    ) -> Hold:
        parent = self._correlator.table.get(waiters[-1]) if waiters else None
        asked = parent.signalled_since(self._stop.begin_ns) if parent is not None else None
        return Hold(
            holder=state.key,
            reason=found.reason,
            certainty=found.certainty,
            needs=found.needs,
            evidence=_evidence(state, reading, seen),
            span=Span(self._stop.begin_ns, self._moment_ns),
            signo=seen.signo if seen is not None else None,
            sender=seen.sender if seen is not None else None,
            sender_comm=seen.sender_comm if seen is not None else None,
            signalled_ns=seen.boot_ns if seen is not None else None,
            waiters=waiters,
            thread=found.thread,
            has_handler=seen is not None and seen.disposition is Disposition.CAUGHT,
            tracer_comm=_tracer_comm(reading),
            tracer_host_pid=_tracer_host_pid(reading),
            freezer=_freezer(reading) if found.reason is HoldReason.FROZEN else None,
            waits_for_shell=(
                parent is not None
                and asked is not None
                and asked.disposition is Disposition.CAUGHT
                and is_shell(self._correlator, parent)
            ),
            is_making_headway=self._has_headway(state, seen),
        )

    def _has_headway(self, state: ProcessState, seen: StopSignalSeen | None) -> bool:
        if seen is None:
            return False
        # Children that were there at the signal, and left before the moment that counts.
        return any(
            child.original_parent == state.key
            and child.born_ns <= seen.boot_ns
            and child.exit_ns is not None
            and seen.boot_ns < child.exit_ns < self._moment_ns
            for key in self._stop.members
            if (child := self._correlator.table.get(key)) is not None
        )


def _lives_at(state: ProcessState, moment_ns: int) -> bool:
    if state.born_ns > moment_ns:
        return False
    if state.exit_ns is not None:
        return state.exit_ns >= moment_ns
    release = release_of(state)
    return release is None or release.boot_ns >= moment_ns


def _takes_no_notice(seen: StopSignalSeen | None) -> _Found | None:
    if seen is None:
        return None
    if seen.is_dropped:
        return _Found(HoldReason.DROPPED)
    by_default = seen.disposition is Disposition.DEFAULT and seen.signo in DEFAULT_IGNORED
    if by_default or seen.disposition is Disposition.IGNORED:
        return _Found(HoldReason.IGNORED)
    return None


def _cannot_run(
    state: ProcessState,
    reading: MemberReading | None,
    moment_ns: int,
    *,
    was_stopped: bool = False,
) -> _Found | None:
    has_begun_to_die = (
        state.leader_exit_ns is not None
        and state.leader_exit_ns < moment_ns
        and state.status is not None
        and state.status.signo is not None
    )
    if reading is None:
        if has_begun_to_die:
            return _Found(HoldReason.DYING, needs=(_READING_NEEDED,))
        return _Found(HoldReason.STOPPED) if was_stopped else None
    thread = reading.stuck_thread()
    is_dying = reading.is_killed or has_begun_to_die
    # A frozen v2 cgroup lets SIGKILL through; in a frozen v1 cgroup it has no effect.
    if reading.is_set("is_frozen") and not (is_dying and reading.values.get("freezer") == "v2"):
        return _Found(HoldReason.FROZEN)
    if is_dying:
        return _Found(HoldReason.DYING, thread=thread)
    if thread is not None:
        return _Found(HoldReason.UNINTERRUPTIBLE, Certainty.INFERRED, thread)
    if reading.values.get("state") == "t":
        return _Found(HoldReason.TRACED)
    if was_stopped or reading.values.get("state") == "T":
        return _Found(HoldReason.STOPPED)
    return None


def _at_teardown(
    correlator: Correlator, stop: StopState, state: ProcessState, moment_ns: int
) -> Hold:
    since_ns = stop.init_exit_ns if stop.init_exit_ns is not None else stop.begin_ns
    found = [one for one in readings_of(correlator, state.key, since_ns) if one.has_threads]
    # Of a stop that hung before its init ended, an earlier one says as much.
    found = found or [
        one for one in readings_of(correlator, state.key, stop.begin_ns) if one.has_threads
    ]
    reading = found[0] if found else None
    is_dead = state.exit_ns is not None and state.exit_ns < moment_ns
    why = None if is_dead else _cannot_run(state, reading, moment_ns)
    if why is not None and why.reason in CANNOT_RUN and why.thread is not None:
        # The kernel had sent it SIGKILL.
        why = _Found(HoldReason.DYING, thread=why.thread)
    if why is None:
        needs = () if is_dead else (_READING_NEEDED,)
        certainty = Certainty.SEEN if is_dead else Certainty.UNKNOWN
        why = _Found(HoldReason.UNREAPED if is_dead else HoldReason.UNKNOWN, certainty, needs=needs)
    seen = state.signalled_since(stop.begin_ns)
    responsible = responsible_for(state)
    return Hold(
        holder=state.key,
        reason=why.reason,
        certainty=why.certainty,
        needs=why.needs,
        evidence=_evidence(state, reading, seen),
        span=Span(since_ns, moment_ns),
        signo=seen.signo if seen is not None else None,
        sender=seen.sender if seen is not None else None,
        sender_comm=seen.sender_comm if seen is not None else None,
        signalled_ns=seen.boot_ns if seen is not None else None,
        waiters=(responsible,) if is_dead and responsible is not None else (),
        thread=why.thread,
        tracer_comm=_tracer_comm(reading),
        tracer_host_pid=_tracer_host_pid(reading),
        freezer=_freezer(reading) if why.reason is HoldReason.FROZEN else None,
    )


def _evidence(
    state: ProcessState, reading: MemberReading | None, seen: StopSignalSeen | None
) -> tuple[Evidence, ...]:
    signals = (Evidence("signal", seen.boot_ns, state.key),) if seen is not None else ()
    readings = (reading.evidence,) if reading is not None else ()
    return tuple(sorted((*signals, *readings), key=lambda one: one.boot_ns))


def _tracer_comm(reading: MemberReading | None) -> str | None:
    tracer = reading.values.get("tracer") if reading is not None else None
    return tracer.get("comm") if tracer is not None else None


def _tracer_host_pid(reading: MemberReading | None) -> int | None:
    tracer = reading.values.get("tracer") if reading is not None else None
    return tracer.get("host_pid") if tracer is not None else None


def _freezer(reading: MemberReading | None) -> str | None:
    freezer = reading.values.get("freezer") if reading is not None else None
    return str(freezer) if freezer is not None else None


def _weakened(hold: Hold) -> Hold:
    if hold.certainty is not Certainty.SEEN:
        return hold
    return replace(hold, certainty=Certainty.INFERRED)
