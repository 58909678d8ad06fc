"""Signals that are sent: whom they may kill, what they begin, who was told."""

from __future__ import annotations

from tracer.correlate import causes
from tracer.correlate.deaths import judge_death
from tracer.correlate.scopes import Scope
from tracer.correlate.state import ProcessState, StopSignalSeen
from tracer.correlate.stops import StopTrigger
from tracer.correlate.suspects import SentSignal
from tracer.correlate.world import World
from tracer.model.annotated import Annotated
from tracer.model.events import DeliverEvent, OomEvent, SignalEvent, SignalInfo
from tracer.model.signals import (
    DEFAULT_STOPS,
    SIGCHLD,
    SIGCONT,
    SIGKILL,
    SIGURG,
    Disposition,
    SignalResult,
)
from tracer.model.verdicts import Cause

_SAYS_NOTHING = frozenset({SIGKILL, SIGCONT, SIGCHLD, SIGURG}) | DEFAULT_STOPS


def note_signal(world: World, event: SignalEvent) -> Annotated:
    """Enter a signal that is no exit notification."""
    world.table.note_actor(event.actor)
    state = world.table.get(event.process.key) or world.meet(event.process, event.boot_ns)
    state.note_presence(event.boot_ns, is_alive=event.target_live_threads > 0)
    if event.signo == SIGKILL and event.result is SignalResult.IGNORED:
        world.drops_for_the_dying |= not event.target_unkillable
    for scope in state.led:
        _note_to_init(world, scope, event, state)
    sent = causes.classify_signal(event, state, world.table)
    if sent is not None:
        sent = _with_kernels_reason(world, event, state, sent)
        state.suspects.add(sent)
    _note_stop_signal(state, event)
    _note_job_control(state, event)
    by_user = causes.is_sent_by_user(event)
    if by_user and not event.actor_is_self and event.signo not in _SAYS_NOTHING:
        actor = world.table.get(event.actor.key)
        if actor is not None and any(scope in actor.scopes for scope in state.scopes):
            state.told_ns = event.boot_ns
    cause = sent.cause if sent is not None else None
    return world.annotate(
        event,
        state,
        cause=cause,
        sender_is_user=by_user,
        is_turning_point=cause not in (None, Cause.SELF)
        and event.result is not SignalResult.IGNORED
        and event.target_live_threads > 0,
    )


def note_delivery(world: World, event: DeliverEvent) -> Annotated:
    """Enter that a signal was taken from the queue."""
    state = world.meet(event.process, event.boot_ns)
    state.note_presence(event.boot_ns, is_alive=True)
    state.suspects.note_delivery(event)
    return world.annotate(event, state)


def note_oom(world: World, event: OomEvent) -> Annotated | None:
    """Enter that the OOM killer marked a victim.

    Some kernels name it by a bare number, a thread's perhaps, and anybody's.
    """
    named = event.process
    is_bare = named.start_boot_ns == 0
    state = world.table.by_host_pid(named.host_pid) if is_bare else world.meet(named, event.boot_ns)
    victim = world.oom.note_mark(event, state)
    if victim is None:
        return None if state is None else world.annotate(event, state)
    world.table.note_actor(event.actor)
    victim.oom_by_tid = event.actor.host_tid
    for scope in victim.led:
        stop = scope.open_stop
        if stop is not None and stop.kill is not None and stop.trigger is StopTrigger.SIGKILL:
            if stop.kill.info is SignalInfo.KERNEL:
                stop.trigger = StopTrigger.OOM
    if victim.status is not None:
        judge_death(world, victim)
    return world.annotate(event, victim, cause=Cause.OOM, is_turning_point=True)


def _with_kernels_reason(
    world: World, event: SignalEvent, state: ProcessState, sent: SentSignal
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
        and world.oom.note_kill(event, state)
    ):
        if event.actor_is_self:
            # It may be the caller's CPU limit just as well.
            return SentSignal(event, Cause.UNKNOWN, is_near_oom=True)
        for scope in state.led:
            stop = scope.open_stop
            if stop is not None and stop.kill is event and stop.trigger is StopTrigger.SIGKILL:
                stop.trigger = StopTrigger.OOM
        return SentSignal(event, Cause.OOM)
    return sent


def _note_to_init(world: World, scope: Scope, event: SignalEvent, init: ProcessState) -> None:
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
    if not is_stop_signal and not is_kill:
        return
    stop = scope.open_stop
    if stop is None:
        trigger = StopTrigger.STOP_SIGNAL
        if not is_stop_signal:
            trigger = StopTrigger.CGROUP_KILL if by_cgroup else StopTrigger.SIGKILL
        stop = world.open_stop(scope, event.boot_ns, trigger)
    if is_stop_signal:
        if stop.kill is None:
            stop.note_stop_signal(event)
            world.note_asked(scope)
    else:
        stop.note_kill(event, by_cgroup=by_cgroup)
        stop.was_init_stopped = init.is_stopped


def _note_stop_signal(state: ProcessState, event: SignalEvent) -> None:
    for scope in state.scopes:
        stop = scope.asked_stop
        if (
            stop is not None
            and event.signo == stop.stop_signo
            and not state.had_stop_signal_since(stop.begin_ns)
        ):
            state.stop_signal = StopSignalSeen(event.boot_ns, event.disposition)


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
            scope.stopped[state.key] = state
        else:
            scope.stopped.pop(state.key, None)
