"""Processes that end: how, by whom, and what their parents are told."""

from __future__ import annotations

from tracer.correlate.reaps import judge_reap
from tracer.correlate.scopes import Scope
from tracer.correlate.state import Holding, ProcessState, ZombieState
from tracer.correlate.stops import SURVIVED_AFTER_NS, StopTrigger
from tracer.correlate.suspects import SentSignal
from tracer.correlate.world import World
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


def note_exit_begin(world: World, event: ExitBeginEvent) -> None:
    """Enter that the last thread of a process is on its way out."""
    state = world.meet(event.process, event.boot_ns)
    state.note_presence(event.boot_ns, is_alive=True)


def note_exit(world: World, event: ExitEvent) -> Annotated | None:
    """Enter the end of a process, or of its main thread alone."""
    state = world.meet(event.process, event.boot_ns)
    state.note_presence(event.boot_ns, is_alive=event.live_threads > 0)
    if state.status is not None:
        # Where the kernel does not say which thread is the last, two may seem to be.
        return None
    state.exit_signo = event.exit_signo
    parent = world.table.get(state.snapshot.parent_key)
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
    _end(world, state, event.status)
    for scope in state.led:
        init_ended(world, scope, event.boot_ns)
    return world.annotate(
        event,
        state,
        cause=state.cause,
        is_turning_point=state.cause is not None or bool(state.led),
    )


def init_ended(world: World, scope: Scope, boot_ns: int) -> None:
    """Enter the end of a scope's init: a stop by itself, if none goes on."""
    if scope.init_exit_ns is not None:
        return
    scope.init_exit_ns = boot_ns
    stop = scope.open_stop or world.open_stop(scope, boot_ns, StopTrigger.INIT_EXIT)
    stop.init_exit_ns = boot_ns
    stop.outcome = StopOutcome.STOPPED


def note_teardown(world: World, event: TeardownEvent) -> Annotated:
    """Enter one end of a namespace's teardown."""
    state = world.meet(event.process, event.boot_ns)
    state.note_presence(event.boot_ns, is_alive=False)
    for scope in state.led:
        if scope.is_shared:
            continue
        if event.phase is TeardownPhase.END:
            scope.teardown_end_ns = event.boot_ns
        else:
            scope.note_zap(event.boot_ns)
    return world.annotate(event, state, is_turning_point=True)


def note_notification(world: World, event: SignalEvent) -> Annotated:
    """Enter that the kernel told somebody of a process's end."""
    world.table.note_actor(event.actor)
    world.table.note_name(event.process.key, event.process.comm)
    child = _notified_child(world, event)
    if child is not None:
        _tell(world, event, child)
    return world.annotate(event, world.table.get(event.process.key), sender_is_user=False)


def _notified_child(world: World, event: SignalEvent) -> ProcessState | None:
    table, told = world.table, event.process
    child = table.get(event.notified_child)
    if child is None and event.notified_child is None:
        child = table.by_ns_pid(told.pidns_inum, event.si_pid)
        if child is not None and child.snapshot.pidns_key != told.pidns_key:
            child = None
        if child is None and told.pidns_level == 0:
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
                    one.zombie.may_be_told = True
    if child is None or child.is_released:
        return None
    # It tells of its own end, or whoever had to reap it hands it on.
    holder = child.zombie.holder if child.zombie is not None else None
    if event.actor.key != child.key and holder is not None and event.actor.key != holder:
        return None
    return child


def _has_other_number(child: ProcessState, event: SignalEvent) -> bool:
    told = event.process
    if told.pidns_level == 0:
        return child.key.host_pid != event.si_pid
    return child.snapshot.pidns_key == told.pidns_key and child.snapshot.ns_pid != event.si_pid


def _tell(world: World, event: SignalEvent, child: ProcessState) -> None:
    is_own = event.actor.key == child.key
    if child.exit_ns is None:
        # Only of a process that is dead does the kernel side name the child; a
        # tracer is told of a leader alone, too.
        if event.notified_child != child.key or not is_own:
            return
        child.exit_ns = event.boot_ns
        child.is_exit_bound = True
        for scope in child.led:
            init_ended(world, scope, event.boot_ns)
    child.note_presence(event.boot_ns, is_alive=False)
    zombie = child.zombie
    if zombie is None:
        zombie = child.zombie = ZombieState(child.exit_ns, Precision.UPPER_BOUND)
    if zombie.holder == event.process.key:
        return
    if is_own and not zombie.holdings and zombie.begin_precision is Precision.UPPER_BOUND:
        zombie.begin_ns, zombie.begin_precision = event.boot_ns, Precision.EXACT
    world.table.hand_to(child, event.process.key, zombie.holder or child.original_parent)
    is_first_parent = event.process.key == child.snapshot.parent_key
    sigchld = _SIGCHLD_BY_DISPOSITION.get(
        event.disposition, child.parent_sigchld if is_first_parent else SigchldAction.UNKNOWN
    )
    zombie.holdings.append(
        Holding(
            holder=event.process.key,
            since_ns=event.boot_ns,
            signo=event.signo,
            by=event.actor.key,
            sigchld=sigchld,
            nocldwait=event.parent_nocldwait,
        )
    )
    for scope in child.led:
        if scope.init_notified_ns is None:
            scope.init_notified_ns = event.boot_ns


def note_reap(world: World, event: ReapEvent) -> Annotated | None:
    """Enter the release of a process; a second report of it says nothing new."""
    state = world.table.get(event.process.key) or world.meet(event.process, event.boot_ns)
    if state.is_released:
        return None
    if event.actor is not None:
        world.table.note_actor(event.actor)
    if state.status is None and event.status is not None:
        _end(world, state, event.status)
    reap = state.reap = judge_reap(event, state, world)
    world.table.release(state)
    if reap.kind in (ReapKind.PARENT, ReapKind.ADOPTER):
        reaper = world.table.get(reap.reaper)
        if reaper is not None:
            reaper.children_reaped += 1
    world.scopes.release(state)
    _close_stops(state, event.boot_ns)
    return world.annotate(
        event,
        state,
        zombie_ns=reap.zombie_ns,
        reap_kind=reap.kind,
        reaper_host_pid=reap.reaper.host_pid if reap.reaper else None,
        reaper_comm=reap.reaper_comm,
        precision=reap.zombie_precision,
        is_turning_point=(reap.zombie_ns or 0) >= world.options.min_zombie_ns,
    )


def _close_stops(state: ProcessState, boot_ns: int) -> None:
    for scope in state.led:
        if scope.is_shared:
            continue
        # Nobody of a namespace outlives its init: who is not known to be released
        # by now is so all the same.
        for member in scope.present.values():
            if member.gone_by_ns is None:
                member.gone_by_ns = boot_ns
        scope.present.clear()
    for scope in state.scopes:
        stop = scope.open_stop
        if stop is None or scope.present:
            continue
        # Init is gone, even where the record of its end is lost.
        if stop.init_exit_ns is not None or scope in state.led:
            stop.end_ns, stop.outcome = boot_ns, StopOutcome.STOPPED


def _end(world: World, state: ProcessState, status: WaitStatus) -> None:
    state.status = status
    if status.signo is not None:
        judge_death(world, state)


def judge_death(world: World, state: ProcessState) -> None:
    """Conclude which signal killed a process, and why that was sent.

    Asked again where more has become known: an OOM mark, a loss.
    """
    signo = state.status.signo if state.status is not None else None
    if signo is None:
        return
    sent = state.suspects.pick(signo)
    may_lack_another = world.losses.any_between(state.born_ns, state.exit_ns, ("signal", "deliver"))
    if sent is not None and may_lack_another and not _is_surely_first(world, state, sent):
        sent = None
    state.fatal_signal = sent
    state.cause = _unsent(world, state, signo) if sent is None else _cause(world, state, sent)


def _unsent(world: World, state: ProcessState, signo: int) -> Cause:
    # Before force_fatal_sig(), a seccomp filter's kill was a do_exit(SIGSYS): no
    # signal at all. A tracer that injects one is seen to deliver it, and so is
    # one that was sent before tracing began.
    may_be_older = state.is_seeded and (state.exit_ns or 0) - (world.begin_ns or 0) < _MOMENT_NS
    if (
        signo == SIGSYS
        and not may_be_older
        and not state.suspects.was_delivered(SIGSYS)
        and world.is_hooked("deliver") is not False
        and not world.losses.any_between(state.born_ns, state.exit_ns, ("signal", "deliver"))
    ):
        return Cause.SECCOMP
    return Cause.UNKNOWN


def _cause(world: World, state: ProcessState, sent: SentSignal) -> Cause:
    event, losses = sent.event, world.losses
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
    # check_process_timers() kills a process in its own context; so does the OOM
    # killer, which would have marked it.
    may_be_oom = world.is_hooked("oom") is False or losses.any_between(
        event.boot_ns, state.exit_ns, ("oom",)
    )
    if event.actor_is_self and event.is_group and not may_be_oom and not sent.is_near_oom:
        return Cause.RLIMIT_CPU
    return Cause.UNKNOWN


def _is_surely_first(world: World, state: ProcessState, sent: SentSignal) -> bool:
    # Where the kernel drops what comes to the dying, a signal it took was the
    # first to kill, whatever was lost before.
    event = sent.event
    return (
        world.drops_for_the_dying
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
