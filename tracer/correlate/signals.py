"""Signals that are sent: whom they may kill, what they begin, who is notified."""

from __future__ import annotations

from tracer.correlate import causes
from tracer.correlate.asked import AskedBefore
from tracer.correlate.deaths import judge_death
from tracer.correlate.process import ProcessState, StopSignalSeen
from tracer.correlate.scope import Scope
from tracer.correlate.stops import StopTrigger
from tracer.correlate.suspects import SentSignal
from tracer.correlate.trace_state import TraceState
from tracer.model.annotated import Annotated
from tracer.model.events import DeliverEvent, OomEvent, SignalEvent, SignalInfo
from tracer.model.signals import (
    DEFAULT_STOPS,
    SIGCHLD,
    SIGCONT,
    SIGINT,
    SIGKILL,
    SIGQUIT,
    SIGRTMIN,
    SIGTERM,
    SIGURG,
    Disposition,
    SignalResult,
)
from tracer.model.verdicts import Cause

_SIGPWR = 30
_STOPS_SOME = frozenset({SIGTERM, SIGINT, SIGQUIT, _SIGPWR, SIGRTMIN + 3})
"""What programs are stopped with; others that end a process tell it to reload or reopen."""
_SAYS_NOTHING = frozenset({SIGKILL, SIGCONT, SIGCHLD, SIGURG}) | DEFAULT_STOPS


def note_signal(trace: TraceState, event: SignalEvent) -> Annotated:
    """Enter a signal that is no exit notification."""
    trace.table.note_actor(event.actor)
    state = trace.table.get(event.process.key) or trace.track(event.process, event.boot_ns)
    state.note_presence(event.boot_ns, is_alive=event.target_live_threads > 0)
    if event.signo == SIGKILL and event.result is SignalResult.IGNORED:
        trace.drops_for_the_dying |= not event.target_unkillable
    for scope in state.led:
        _note_to_init(trace, scope, event, state)
    sent = causes.classify_signal(event, state, trace.table)
    if sent is not None:
        sent = _with_kernels_reason(trace, event, state, sent)
        state.suspects.add(sent)
    _note_stop_signal(state, event)
    _note_job_control(state, event)
    by_user = causes.is_sent_by_user(event)
    is_dropped = sent is not None and causes.is_dropped(event)
    if sent is not None:
        _note_asked(state, event, by_user=by_user, is_dropped=is_dropped)
    if by_user and not event.actor_is_self and event.signo not in _SAYS_NOTHING:
        actor = trace.table.get(event.actor.key)
        if actor is not None and any(scope in actor.scopes for scope in state.scopes):
            state.told_ns = event.boot_ns
            _note_translated(state, event)
    cause = sent.cause if sent is not None else None
    return trace.annotate(
        event,
        state,
        cause=cause,
        sender_is_user=by_user,
        is_turning_point=is_dropped
        or (
            cause not in (None, Cause.SELF)
            and event.result is not SignalResult.IGNORED
            and event.target_live_threads > 0
        ),
    )


def note_delivery(trace: TraceState, event: DeliverEvent) -> Annotated:
    """Enter that a signal was taken from the queue."""
    state = trace.track(event.process, event.boot_ns)
    state.note_presence(event.boot_ns, is_alive=True)
    state.suspects.note_delivery(event)
    raised = state.asked.raised if state.asked is not None else None
    if state.asked is not None and raised is not None and raised.signo == event.signo:
        if event.disposition is Disposition.DEFAULT:
            # get_signal() drops it at an init, once its handler has returned.
            state.asked.note_dropped(raised)
        state.asked.raised = None
    return trace.annotate(event, state)


def note_oom(trace: TraceState, event: OomEvent) -> Annotated | None:
    """Enter that the OOM killer marked a victim.

    Some kernels name it by a bare number, a thread's perhaps, and of any process.
    """
    named = event.process
    is_bare = named.start_boot_ns == 0
    state = (
        trace.table.by_host_pid(named.host_pid) if is_bare else trace.track(named, event.boot_ns)
    )
    victim = trace.oom.note_mark(event, state)
    if victim is None:
        return None if state is None else trace.annotate(event, state)
    trace.table.note_actor(event.actor)
    victim.oom_by_tid = event.actor.host_tid
    for scope in victim.led:
        stop = scope.open_stop
        if stop is not None and stop.kill is not None and stop.trigger is StopTrigger.SIGKILL:
            if stop.kill.info is SignalInfo.KERNEL:
                stop.trigger = StopTrigger.OOM
    if victim.status is not None:
        judge_death(trace, victim)
    return trace.annotate(event, victim, cause=Cause.OOM, is_turning_point=True)


def _with_kernels_reason(
    trace: TraceState, event: SignalEvent, state: ProcessState, sent: SentSignal
) -> SentSignal:
    if sent.cause is Cause.PIDNS_TEARDOWN:
        state.teardown_signalled_ns = event.boot_ns
        for scope in state.scopes:
            if scope.init == event.actor.key:
                scope.note_zap(event.boot_ns)
    elif (
        sent.cause is Cause.UNKNOWN
        and event.signo == SIGKILL
        and event.info is SignalInfo.KERNEL
        and trace.oom.note_kill(event, state)
    ):
        if event.actor_is_self:
            # A BPF program may have sent it just as well.
            return sent
        for scope in state.led:
            stop = scope.open_stop
            if stop is not None and stop.kill is event and stop.trigger is StopTrigger.SIGKILL:
                stop.trigger = StopTrigger.OOM
        return SentSignal(event, Cause.OOM)
    return sent


def _note_to_init(trace: TraceState, scope: Scope, event: SignalEvent, init: ProcessState) -> None:
    # A signal to an init that is dead or dying already begins nothing.
    if event.target_live_threads == 0 or event.target_group_exit:
        return
    is_stop_signal = (
        event.signo == scope.stop_signo
        and causes.is_sent_by_user(event)
        and causes.is_from_outside(event, scope)
    )
    is_kill = event.signo == SIGKILL and event.result is not SignalResult.IGNORED
    by_cgroup = causes.is_cgroup_kill(event)
    stop = scope.open_stop
    if stop is not None and stop.is_assumed:
        if is_stop_signal:
            # The configured one: the other was none.
            scope.stops.remove(stop)
            stop = None
        else:
            is_stop_signal = event.signo == stop.stop_signo and causes.is_runtime(event, (scope,))
    is_assumed = stop is None and not is_stop_signal and _is_taken_for_stop(event, scope)
    is_stop_signal = is_stop_signal or is_assumed
    if not is_stop_signal and not is_kill:
        return
    if stop is None:
        trigger = StopTrigger.STOP_SIGNAL
        if not is_stop_signal:
            trigger = StopTrigger.CGROUP_KILL if by_cgroup else StopTrigger.SIGKILL
        stop = trace.open_stop(scope, event.boot_ns, trigger, event.signo if is_assumed else None)
    if is_stop_signal:
        if stop.kill is None:
            stop.note_stop_signal(event)
            trace.note_asked(scope)
    else:
        stop.note_kill(event, by_cgroup=by_cgroup)
        stop.was_init_stopped = init.is_stopped


def _is_taken_for_stop(event: SignalEvent, scope: Scope) -> bool:
    """Whether a runtime sends a container's init another signal that programs are stopped with.

    Which one is configured is not always known: a pod's is in its image, and a stop
    can name another.
    """
    return (
        scope.container is not None
        and event.signo in _STOPS_SOME
        and causes.is_sent_by_user(event)
        and causes.is_runtime(event, (scope,))
    )


def _note_stop_signal(state: ProcessState, event: SignalEvent) -> None:
    for scope in state.scopes:
        stop = scope.asked_stop
        if (
            stop is not None
            and event.signo == stop.stop_signo
            and not state.had_stop_signal_since(stop.begin_ns)
        ):
            state.stop_signal = _seen(event)


def _note_translated(state: ProcessState, event: SignalEvent) -> None:
    for scope in state.scopes:
        stop = scope.asked_stop
        if (
            stop is not None
            and event.signo != stop.stop_signo
            and (state.translated is None or state.translated.boot_ns < stop.begin_ns)
        ):
            state.translated = _seen(event)


def _seen(event: SignalEvent) -> StopSignalSeen:
    return StopSignalSeen(
        boot_ns=event.boot_ns,
        disposition=event.disposition,
        signo=event.signo,
        sender=event.actor.key,
        sender_comm=event.actor.comm,
        is_dropped=causes.is_dropped(event),
    )


def _note_asked(
    state: ProcessState, event: SignalEvent, *, by_user: bool, is_dropped: bool
) -> None:
    # The host's own init is as protected, and no container's.
    is_dropped = is_dropped and bool(state.snapshot.pidns_level)
    is_sent = by_user and not event.actor_is_self and event.signo != SIGKILL
    is_raised = (
        by_user
        and event.actor_is_self
        and event.target_unkillable
        and event.disposition is Disposition.BLOCKED
        and bool(state.snapshot.pidns_level)
    )
    if not (is_dropped or is_sent or is_raised) or event.target_live_threads == 0:
        return
    if state.asked is None:
        state.asked = AskedBefore()
    if is_raised:
        state.asked.raised = event
    if is_sent:
        state.asked.note_sent(event)
    is_stop_signal = by_user and any(
        event.signo == scope.stop_signo and causes.is_from_outside(event, scope)
        for scope in state.led
    )
    if is_dropped and not is_stop_signal:
        state.asked.note_dropped(event)


def _note_job_control(state: ProcessState, event: SignalEvent) -> None:
    if event.signo in (SIGCONT, SIGKILL):
        is_stopped = False
    elif (
        event.signo in DEFAULT_STOPS
        and event.disposition is Disposition.DEFAULT
        and event.result is not SignalResult.IGNORED
        and event.target_live_threads > 0
    ):
        is_stopped = True
    else:
        return
    state.is_stopped = is_stopped
    for scope in state.scopes:
        if is_stopped:
            scope.stopped[state.key] = None
        else:
            scope.stopped.pop(state.key, None)
