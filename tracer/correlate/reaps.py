"""Who released a zombie, and how: the same with kprobes and without.

With release_task ``current`` names the reaper. Without it the same follows
from whom the kernel notified last, the final real_parent, and the SIGKILL that a
teardown sends to every zombie that is left.

Source: do_notify_parent(), exit_notify(), forget_original_parent(),
release_task(), wait_task_zombie() in kernel/exit.c and kernel/signal.c.
"""

from __future__ import annotations

from dataclasses import dataclass

from tracer.correlate.process import RCU_SLACK_NS, ProcessState, ReapDuty, ReapState, ZombieState
from tracer.correlate.scope import Scope
from tracer.correlate.trace_state import TraceState
from tracer.model.events import Precision, ReapEvent, SigchldAction
from tracer.model.identity import ProcessKey
from tracer.model.signals import SIGCHLD
from tracer.model.verdicts import ReapKind

_WITHOUT_NOTIFICATION = frozenset({"signal"})
_NOT_ENDED = frozenset({"signal", "exit"})
_NOT_TORN_DOWN = frozenset({"signal", "exit", "teardown_begin"})
_BORN_ELSEWHERE = frozenset({"fork"})


@dataclass(frozen=True, slots=True)
class _Release:
    """Who did it: the process itself as it exits, a dying parent, a waiting parent.

    ``is_auto`` is None where that is unknown.
    """

    reaper: ProcessKey | None
    is_auto: bool | None
    rests_on: frozenset[str] = frozenset()


def judge_reap(event: ReapEvent, state: ProcessState, trace: TraceState) -> ReapState:
    """Conclude kind, reaper and duration of a zombie from its release.

    Args:
        event: The release.
        state: The process, its exit and notifications already entered.
        trace: To validate a parent pointer and to name the reaper.
    """
    parent = _final_parent(event, state, trace)
    if event.actor is not None:
        release = _by_actor(event, state, parent)
    elif "signal" in trace.losses.unseen:
        # Where notifications are never seen, their absence proves nothing.
        release = _Release(None, None)
    else:
        release = _by_notifications(event, state, parent, trace)
    reaper, rests_on = release.reaper, release.rests_on
    if any(scope.init != state.key and _is_in_teardown(event, state, scope)
           for scope in state.scopes):  # fmt: skip
        kind = ReapKind.TEARDOWN
    else:
        # Of the namespaces that may have been torn down, its own as init is none.
        if (state.snapshot.pidns_level or 0) > int(state.snapshot.is_init):
            rests_on |= _NOT_TORN_DOWN
        if release.is_auto:
            kind = ReapKind.AUTO
        elif reaper is None or release.is_auto is None:
            kind, reaper = ReapKind.UNKNOWN, None
        else:
            kind = ReapKind.PARENT if reaper == state.original_parent else ReapKind.ADOPTER
            if state.is_seen_late:
                rests_on |= _BORN_ELSEWHERE
    _note_presence(state, parent, trace)
    zombie_ns, precision = _duration(event, state, was_none=release.reaper == state.key)
    return ReapState(
        boot_ns=event.boot_ns,
        precision=event.precision,
        kind=kind,
        reaper=reaper,
        reaper_comm=trace.table.comm_of(reaper),
        zombie_ns=zombie_ns,
        zombie_precision=precision,
        rests_on=rests_on,
        is_stand_in=event.seen_boot_ns is not None,
    )


def _final_parent(event: ReapEvent, state: ProcessState, trace: TraceState) -> ProcessKey | None:
    """The real parent at the release; the freed task's pointer to it may dangle.

    A parent is older than its child, adopted or not: what took its place in
    memory is younger.
    """
    parent = event.process.parent_key
    if parent is not None and parent.start_boot_ns <= state.key.start_boot_ns:
        if event.actor is not None or trace.table.is_known(parent):
            return parent
    return None


def _by_actor(event: ReapEvent, state: ProcessState, parent: ProcessKey | None) -> _Release:
    actor = event.actor
    if actor is None or actor.key is None:
        return _Release(None, None)
    if actor.key == state.key:
        return _Release(state.key, is_auto=True)
    # A dying parent where the new parent ignores SIGCHLD (an init in teardown waits, too),
    # or a tracer's wait for a process whose parent does.
    is_tracers = actor.host_pid == state.tracer_host_pid and actor.key != parent
    return _Release(actor.key, is_auto=actor.is_exiting or is_tracers)


def _by_notifications(
    event: ReapEvent, state: ProcessState, parent: ProcessKey | None, trace: TraceState
) -> _Release:
    zombie = state.zombie
    duties = zombie.duties if zombie is not None else []
    if not duties:
        return _without_notification(event, state, parent, trace)
    last = duties[-1]
    if last.nocldwait and not _is_tracers(last, state) and last.signo == SIGCHLD:
        was_dead_before = state.is_seeded and state.alive_until_ns == 0
        if state.is_exit_bound and not was_dead_before:
            # A ptracer would keep it all the same; only its exit would show whether one did.
            return _Release(None, None)
        # Notified, and released at once by the notifier: the process itself, or its dying parent.
        return _Release(last.by, is_auto=True)
    if parent is None and not _is_surely_there(last.holder, state, trace):
        # It reaped it and died, or died and its new parent ignores SIGCHLD.
        return _Release(None, None)
    if parent is None:
        # That it still exists rests on its exit not having been seen.
        return _Release(last.holder, is_auto=False, rests_on=_NOT_ENDED)
    if parent == last.holder:
        if state.exit_signo == 0 and _is_tracers(last, state) and parent != state.original_parent:
            # Passed on without notification, and back as its parent died? A new parent
            # that does not ignore SIGCHLD would have been notified.
            does = event.parent_sigchld
            is_notified = does in (SigchldAction.CAUGHT, SigchldAction.DEFAULT)
            return _Release(parent, is_auto=False) if is_notified else _Release(None, None)
        if _is_tracers(last, state) and _may_have_ended(parent, trace):
            # __ptrace_detach(): a parent that traces its own child and ignores SIGCHLD
            # as it ends releases it then; it may have waited for it before.
            return _Release(None, None)
        return _Release(last.holder, is_auto=False)
    return _passed_on_without_notification(event, state, parent, last.holder, trace)


def _without_notification(
    event: ReapEvent, state: ProcessState, parent: ProcessKey | None, trace: TraceState
) -> _Release:
    zombie = state.zombie
    if state.exit_ns is None:
        # Its exit record is lost, and with it which signal notifies its parent.
        return _Release(None, None)
    was_notified_before = (
        zombie is not None and zombie.begin_precision is Precision.LOWER_BOUND
    ) or state.exit_signo == 0
    if was_notified_before:
        tracer = state.tracer_host_pid
        if state.is_seeded and tracer is not None and (parent is None or parent.host_pid != tracer):
            # The ptracer had it; the notification of the parent afterwards was not seen.
            return _Release(None, None)
        if parent is None or (_is_tracer(parent, state) and _may_have_ended(parent, trace)):
            return _Release(None, None)
        if parent == state.original_parent:
            return _Release(parent, is_auto=False)
        return _passed_on_without_notification(event, state, parent, state.original_parent, trace)
    if state.exit_signo == SIGCHLD:
        # A ptracer that was still attached would have been notified too.
        return _Release(state.key, is_auto=True, rests_on=_WITHOUT_NOTIFICATION)
    return _Release(None, None)


def _passed_on_without_notification(
    event: ReapEvent,
    state: ProcessState,
    new_parent: ProcessKey,
    former: ProcessKey | None,
    trace: TraceState,
) -> _Release:
    # do_notify_parent() does not notify a new parent that ignores SIGCHLD; then the
    # former parent released it. The notification may have been missed, though; and a
    # child without an exit signal is passed on by its ptracer without one.
    if state.exit_signo == 0 and state.tracer_host_pid is not None:
        if new_parent == state.original_parent:
            return _Release(new_parent, is_auto=False)
        return _Release(None, None)
    may_be_notified = state.zombie is not None and state.zombie.may_be_notified
    if not may_be_notified and _would_be_seen(state, new_parent, former, trace):
        return _Release(former, is_auto=True, rests_on=_WITHOUT_NOTIFICATION)
    if event.parent_sigchld in (SigchldAction.CAUGHT, SigchldAction.DEFAULT):
        return _Release(new_parent, is_auto=False)
    return _Release(None, None)


def _would_be_seen(
    state: ProcessState, new_parent: ProcessKey, former: ProcessKey | None, trace: TraceState
) -> bool:
    """Whether the kernel side would have emitted a notification of the new parent.

    It emits those to and from the target, and those to the host's own
    namespace: there it knows the zombie by its number.
    """
    if trace.table.get(new_parent) is not None or trace.table.get(former) is not None:
        return True
    levels = [scope.level for scope in state.scopes if not scope.is_shared]
    return min(levels, default=state.snapshot.pidns_level or 0) <= 1


def _is_in_teardown(event: ReapEvent, state: ProcessState, scope: Scope) -> bool:
    begin_ns = scope.zap_ns
    if begin_ns is None and scope.init_exit_ns is not None and not scope.is_shared:
        # The teardown passes over what has a fatal signal pending: of one that signalled
        # no process only the later exits are seen. A zombie of before would have been sent one.
        return state.exit_ns is not None and state.exit_ns >= scope.init_exit_ns
    if scope.is_shared or begin_ns is None:
        return False
    if event.precision is Precision.EXACT:
        return event.boot_ns >= begin_ns
    if state.exit_ns is not None and state.exit_ns >= begin_ns:
        return True
    # zap_pid_ns_processes signals every task left, zombies too: one that got
    # none had been released before, unless the record of its release is far too late.
    if state.teardown_signalled_ns is not None and state.teardown_signalled_ns >= begin_ns:
        return True
    return event.boot_ns - begin_ns > RCU_SLACK_NS


def _note_presence(state: ProcessState, parent: ProcessKey | None, trace: TraceState) -> None:
    # If its parent's death gave it a new parent, it existed at that time.
    if parent is None or parent == state.original_parent:
        return
    forker = trace.table.get(state.original_parent)
    if forker is not None and forker.exit_ns is not None and not forker.is_exit_bound:
        state.note_presence(forker.exit_ns, is_alive=False)


def _is_surely_there(holder: ProcessKey, state: ProcessState, trace: TraceState) -> bool:
    """Whether the process notified last certainly still has the duty to reap it."""
    if _is_tracer(holder, state):
        # A ptracer gives it up as it dies, an init before it tears its namespace down.
        return holder == state.original_parent and not _may_have_ended(holder, trace)
    if any(scope.init == holder for scope in state.scopes if not scope.is_shared):
        # An init waits until its last child is gone.
        return True
    notified = trace.table.get(holder)
    return notified is not None and notified.is_alive


def _may_have_ended(parent: ProcessKey, trace: TraceState) -> bool:
    known = trace.table.get(parent)
    return known is None or not known.is_alive


def _is_tracers(duty: ReapDuty, state: ProcessState) -> bool:
    return _is_tracer(duty.holder, state)


def _is_tracer(holder: ProcessKey, state: ProcessState) -> bool:
    return state.tracer_host_pid is not None and holder.host_pid == state.tracer_host_pid


def _duration(
    event: ReapEvent, state: ProcessState, *, was_none: bool
) -> tuple[int | None, Precision]:
    zombie: ZombieState | None = state.zombie
    if was_none:
        # exit_notify set EXIT_DEAD at once: it was never a visible zombie.
        return 0, Precision.EXACT
    if zombie is None:
        return None, event.precision
    released_ns = event.boot_ns
    if zombie.begin_precision is Precision.LOWER_BOUND:
        if event.precision is not Precision.EXACT:
            released_ns = max(released_ns - RCU_SLACK_NS, state.seen_until_ns)
        return max(0, released_ns - zombie.begin_ns), Precision.LOWER_BOUND
    if event.precision is Precision.EXACT:
        return max(0, released_ns - zombie.begin_ns), zombie.begin_precision
    if state.gone_by_ns is not None:
        released_ns = min(released_ns, state.gone_by_ns)
    return max(0, released_ns - zombie.begin_ns), Precision.UPPER_BOUND
