"""Processes that exit: how, by whom, and which notifications their parents get."""

from __future__ import annotations

from tracer.correlate.process import ProcessState, ReapDuty, ZombieState
from tracer.correlate.reaps import judge_reap
from tracer.correlate.scope import Scope
from tracer.correlate.stops import SURVIVED_AFTER_NS, StopTrigger
from tracer.correlate.suspects import SentSignal
from tracer.correlate.trace_state import TraceState
from tracer.model.annotated import Annotated
from tracer.model.events import (
    ExitBeginEvent,
    ExitEvent,
    Precision,
    ReapEvent,
    SigchldAction,
    SignalEvent,
    SignalInfo,
    TeardownEvent,
    TeardownPhase,
)
from tracer.model.signals import SIGKILL, SIGSYS, Disposition, SignalResult
from tracer.model.verdicts import Cause, ReapKind, StopOutcome
from tracer.model.wait_status import WaitStatus

_MOMENT_NS = 1_000_000_000
_SIGCHLD_BY_DISPOSITION = {
    Disposition.CAUGHT: SigchldAction.CAUGHT,
    Disposition.DEFAULT: SigchldAction.DEFAULT,
    Disposition.IGNORED: SigchldAction.IGNORED,
}


def note_exit_begin(trace: TraceState, event: ExitBeginEvent) -> None:
    """Enter that the last thread of a process is on its way out."""
    state = trace.track(event.process, event.boot_ns)
    state.note_presence(event.boot_ns, is_alive=True)


def note_exit(trace: TraceState, event: ExitEvent) -> Annotated | None:
    """Enter the end of a process, or of its main thread alone."""
    state = trace.track(event.process, event.boot_ns)
    state.note_presence(event.boot_ns, is_alive=event.live_threads > 0)
    if state.status is not None:
        # Where the kernel does not say which thread is the last, two may seem to be.
        return None
    state.exit_signo = event.exit_signo
    parent = trace.table.get(state.snapshot.parent_key)
    if parent is None or parent.exit_ns is None:
        # An init in its teardown is made to ignore SIGCHLD by the kernel.
        state.parent_sigchld = event.parent_sigchld
    for scope in state.scopes:
        scope.stopped.pop(state.key, None)
    state.is_stopped = False
    state.tracer_host_pid = event.tracer_host_pid
    if event.live_threads > 0:
        if state.leader_exit_ns is None and state.exit_ns is None:
            state.leader_exit_ns = event.boot_ns
            state.live_threads = event.live_threads
        return None
    if state.leader_exit_ns is not None:
        state.leader_alone_until_ns = event.boot_ns
    if state.exit_ns is None:
        state.exit_ns = event.boot_ns
        state.zombie = ZombieState(event.boot_ns, Precision.UPPER_BOUND)
    _end(trace, state, event.status)
    for scope in state.led:
        init_ended(trace, scope, event.boot_ns)
    return trace.annotate(
        event,
        state,
        cause=state.cause,
        is_turning_point=state.cause is not None or bool(state.led),
    )


def init_ended(trace: TraceState, scope: Scope, boot_ns: int) -> None:
    """Enter the end of a scope's init: a stop by itself, if none goes on."""
    if scope.init_exit_ns is not None:
        return
    scope.init_exit_ns = boot_ns
    stop = scope.open_stop or trace.open_stop(scope, boot_ns, StopTrigger.INIT_EXIT)
    stop.init_exit_ns = boot_ns
    stop.outcome = StopOutcome.STOPPED


def note_teardown(trace: TraceState, event: TeardownEvent) -> Annotated:
    """Enter one end of a namespace's teardown."""
    state = trace.track(event.process, event.boot_ns)
    state.note_presence(event.boot_ns, is_alive=False)
    for scope in state.led:
        if scope.is_shared:
            continue
        if event.phase is TeardownPhase.END:
            scope.teardown_end_ns = event.boot_ns
        else:
            scope.note_zap(event.boot_ns)
    return trace.annotate(event, state, is_turning_point=True)


def note_notification(trace: TraceState, event: SignalEvent) -> Annotated:
    """Enter that the kernel notified a process of another one's exit."""
    trace.table.note_actor(event.actor)
    trace.table.note_name(event.process.key, event.process.comm)
    child = _notified_child(trace, event)
    if child is not None:
        _note_duty(trace, event, child)
    return trace.annotate(event, trace.table.get(event.process.key), sender_is_user=False)


def _notified_child(trace: TraceState, event: SignalEvent) -> ProcessState | None:
    table, notified = trace.table, event.process
    child = table.get(event.notified_child)
    if child is None and event.notified_child is None:
        child = table.by_ns_pid(notified.pidns_inum, event.si_pid)
        if child is not None and child.snapshot.pidns_key != notified.pidns_key:
            child = None
        if child is None and notified.pidns_level == 0:
            child = table.by_host_pid(event.si_pid)
        if child is None:
            # It numbers the zombie as a namespace in between does.
            candidates = [
                one
                for one in table.zombies_of(event.actor.key)
                if not _has_other_number(one, event)
            ]
            if len(candidates) == 1:
                child = candidates[0]
            for one in candidates if child is None else ():
                if one.zombie is not None:
                    one.zombie.may_be_notified = True
    if child is None or child.is_released:
        return None
    # It notifies of its own exit, or its duty holder passes it to a new parent.
    holder = child.zombie.holder if child.zombie is not None else None
    if event.actor.key != child.key and holder is not None and event.actor.key != holder:
        return None
    return child


def _has_other_number(child: ProcessState, event: SignalEvent) -> bool:
    notified = event.process
    if notified.pidns_level == 0:
        return child.key.host_pid != event.si_pid
    return child.snapshot.pidns_key == notified.pidns_key and child.snapshot.ns_pid != event.si_pid


def _note_duty(trace: TraceState, event: SignalEvent, child: ProcessState) -> None:
    is_own = event.actor.key == child.key
    if child.exit_ns is None:
        # Only of a process that is dead does the kernel side name the child; a
        # ptracer is notified of a leader alone, too.
        if event.notified_child != child.key or not is_own:
            return
        child.exit_ns = event.boot_ns
        child.is_exit_bound = True
        for scope in child.led:
            init_ended(trace, scope, event.boot_ns)
    child.note_presence(event.boot_ns, is_alive=False)
    zombie = child.zombie
    if zombie is None:
        zombie = child.zombie = ZombieState(child.exit_ns, Precision.UPPER_BOUND)
    if zombie.holder == event.process.key:
        return
    if is_own and not zombie.duties and zombie.begin_precision is Precision.UPPER_BOUND:
        zombie.begin_ns, zombie.begin_precision = event.boot_ns, Precision.EXACT
    former = zombie.holder or child.original_parent
    is_first_parent = event.process.key == child.snapshot.parent_key
    sigchld = _SIGCHLD_BY_DISPOSITION.get(
        event.disposition, child.parent_sigchld if is_first_parent else SigchldAction.UNKNOWN
    )
    zombie.duties.append(
        ReapDuty(
            holder=event.process.key,
            since_ns=event.boot_ns,
            signo=event.signo,
            by=event.actor.key,
            sigchld=sigchld,
            nocldwait=event.parent_nocldwait,
        )
    )
    trace.table.pass_to(child, zombie.duties[-1].holder, former)
    for scope in child.led:
        if scope.init_notified_ns is None:
            scope.init_notified_ns = event.boot_ns


def note_reap(trace: TraceState, event: ReapEvent) -> Annotated | None:
    """Enter the release of a process; a second report of it says nothing new."""
    state = trace.table.get(event.process.key) or trace.track(event.process, event.boot_ns)
    if state.is_released:
        return None
    if event.actor is not None:
        trace.table.note_actor(event.actor)
    if event.seen_boot_ns is not None:
        state.note_presence(event.seen_boot_ns, is_alive=False)
    if state.status is None and event.status is not None:
        _end(trace, state, event.status)
    reap = state.reap = judge_reap(event, state, trace)
    trace.table.release(state)
    if reap.kind in (ReapKind.PARENT, ReapKind.ADOPTER):
        if reap.reaper is not None:
            trace.table.note_reaped(reap.reaper)
    trace.scopes.release(state)
    _close_stops(trace, state, event.boot_ns)
    return trace.annotate(
        event,
        state,
        zombie_ns=reap.zombie_ns,
        reap_kind=reap.kind,
        reaper_host_pid=reap.reaper.host_pid if reap.reaper else None,
        reaper_comm=reap.reaper_comm,
        precision=reap.zombie_precision,
        is_turning_point=state.told_zombie_ns(reap) >= trace.options.min_zombie_ns,
    )


def _close_stops(trace: TraceState, state: ProcessState, boot_ns: int) -> None:
    for scope in state.led:
        if scope.is_shared:
            continue
        # No process of a namespace outlives its init: one that is not known to be released
        # by now is so all the same.
        for key in scope.present:
            member = trace.table.get(key)
            if member is not None and member.gone_by_ns is None:
                member.gone_by_ns = boot_ns
        scope.gone_ns = boot_ns
        scope.present.clear()
    for scope in state.scopes:
        stop = scope.open_stop
        if stop is None or scope.present:
            continue
        # Init is gone, even where the record of its end is lost.
        if stop.init_exit_ns is not None or scope in state.led:
            stop.end_ns, stop.outcome = boot_ns, StopOutcome.STOPPED


def _end(trace: TraceState, state: ProcessState, status: WaitStatus) -> None:
    state.status = status
    if status.signo is not None:
        judge_death(trace, state)


def judge_death(trace: TraceState, state: ProcessState) -> None:
    """Conclude which signal killed a process, and why that was sent.

    Asked again where more has become known: an OOM mark, a loss.
    """
    signo = state.status.signo if state.status is not None else None
    if signo is None:
        return
    sent = state.suspects.pick(signo)
    may_lack_another = trace.losses.any_between(state.born_ns, state.exit_ns, ("signal", "deliver"))
    if sent is not None and may_lack_another and not _is_surely_first(trace, state, sent):
        sent = None
    state.fatal_signal = sent
    state.cause = _unsent(trace, state, signo) if sent is None else _cause(trace, state, sent)


def _unsent(trace: TraceState, state: ProcessState, signo: int) -> Cause:
    # Before force_fatal_sig(), a seccomp filter's kill was a do_exit(SIGSYS): no
    # signal at all. A tracer that injects one is seen to deliver it, and so is
    # one that was sent before tracing began.
    may_be_older = state.is_seeded and (state.exit_ns or 0) - (trace.begin_ns or 0) < _MOMENT_NS
    if (
        signo == SIGSYS
        and not may_be_older
        and not state.suspects.was_delivered(SIGSYS)
        and trace.is_hooked("deliver") is not False
        and not trace.losses.any_between(state.born_ns, state.exit_ns, ("signal", "deliver"))
    ):
        return Cause.SECCOMP
    return Cause.UNKNOWN


def _cause(trace: TraceState, state: ProcessState, sent: SentSignal) -> Cause:
    event, losses = sent.event, trace.losses
    since_ns = sent.rests_since_ns
    if since_ns is None:
        since_ns = _asked_since(state, event)
    if sent.rests_on and losses.any_between(since_ns, event.boot_ns, sent.rests_on):
        return Cause.UNKNOWN
    if sent.cause is not Cause.UNKNOWN or event.signo != SIGKILL:
        return sent.cause
    if event.info is not SignalInfo.KERNEL:
        return Cause.UNKNOWN
    if state.oom_by_tid is not None and state.oom_by_tid == event.actor.host_tid:
        return Cause.OOM
    return Cause.UNKNOWN


def _is_surely_first(trace: TraceState, state: ProcessState, sent: SentSignal) -> bool:
    # Where the kernel drops what comes to the dying, a signal it took was the
    # first to kill, whatever was lost before.
    event = sent.event
    return (
        trace.drops_for_the_dying
        and event.result is SignalResult.DELIVERED
        and event.disposition is Disposition.DEFAULT
        and not state.suspects.was_delivered(event.signo)
        and state.tracer_host_pid is None
    )


def _asked_since(state: ProcessState, event: SignalEvent) -> int:
    # A stop signal counts for as long as init may be said not to have survived it.
    begins = [
        stop.begin_ns
        for scope in state.scopes
        for stop in scope.stops
        if stop.begin_ns <= event.boot_ns and (stop.end_ns is None or stop.end_ns >= event.boot_ns)
    ]
    return min([event.boot_ns, *begins]) - SURVIVED_AFTER_NS
