"""Who released a zombie, and how: told with kprobes and without alike.

With release_task ``current`` names the reaper. Without it the same follows
from whom the kernel told last, the final real_parent, and the SIGKILL that a
teardown sends to every zombie that is left.

Source: do_notify_parent(), exit_notify(), forget_original_parent(),
release_task(), wait_task_zombie() in kernel/exit.c and kernel/signal.c.
"""

from __future__ import annotations

from dataclasses import dataclass

from tracer.correlate.scopes import Scope
from tracer.correlate.state import RCU_SLACK_NS, Holding, ProcessState, ReapState, ZombieState
from tracer.correlate.world import World
from tracer.model.events import Precision, ReapEvent, SigchldAction
from tracer.model.identity import ProcessKey
from tracer.model.signals import SIGCHLD
from tracer.model.verdicts import ReapKind

_NOT_TOLD = frozenset({"signal"})
_NOT_ENDED = frozenset({"signal", "exit"})
_NOT_TORN_DOWN = frozenset({"signal", "exit", "teardown_begin"})
_BORN_ELSEWHERE = frozenset({"fork"})


@dataclass(frozen=True, slots=True)
class _Release:
    """Who did it: itself at its death, a dying father, a waiting parent.

    ``is_auto`` is None where that cannot be told.
    """

    reaper: ProcessKey | None
    is_auto: bool | None
    rests_on: frozenset[str] = frozenset()


def judge_reap(event: ReapEvent, state: ProcessState, world: World) -> ReapState:
    """Conclude kind, reaper and duration of a zombie from its release.

    Args:
        event: The release.
        state: The process, its exit and notifications already entered.
        world: To validate a parent pointer and to name the reaper.
    """
    parent = _final_parent(event, state, world)
    release = (
        _by_actor(event, state, parent)
        if event.actor is not None
        else _by_notifications(event, state, parent, world)
    )
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
    _note_presence(state, parent, world)
    zombie_ns, precision = _duration(event, state, was_none=release.reaper == state.key)
    return ReapState(
        boot_ns=event.boot_ns,
        precision=event.precision,
        kind=kind,
        reaper=reaper,
        reaper_comm=world.table.comm_of(reaper),
        zombie_ns=zombie_ns,
        zombie_precision=precision,
        rests_on=rests_on,
        parent_now=parent,
    )


def _final_parent(event: ReapEvent, state: ProcessState, world: World) -> ProcessKey | None:
    """The real parent at the release; the freed task's pointer to it may dangle.

    A parent is older than its child, adopted or not: what took its place in
    memory is younger.
    """
    parent = event.process.parent_key
    if parent is not None and parent.start_boot_ns <= state.key.start_boot_ns:
        if event.actor is not None or world.table.is_known(parent):
            return parent
    return None


def _by_actor(event: ReapEvent, state: ProcessState, parent: ProcessKey | None) -> _Release:
    actor = event.actor
    if actor is None or actor.key is None:
        return _Release(None, None)
    if actor.key == state.key:
        return _Release(state.key, is_auto=True)
    # A dying father whose heir ignores SIGCHLD (an init in its teardown waits, too),
    # or a tracer's wait for a process whose parent does.
    is_tracers = actor.host_pid == state.tracer_host_pid and actor.key != parent
    return _Release(actor.key, is_auto=actor.is_exiting or is_tracers)


def _by_notifications(
    event: ReapEvent, state: ProcessState, parent: ProcessKey | None, world: World
) -> _Release:
    zombie = state.zombie
    holdings = zombie.holdings if zombie is not None else []
    if not holdings:
        return _of_nobody_told(event, state, parent, world)
    last = holdings[-1]
    if last.nocldwait and not _is_tracers(last, state) and last.signo == SIGCHLD:
        was_dead_before = state.is_seeded and state.alive_until_ns == 0
        if state.is_exit_bound and not was_dead_before:
            # A tracer would hold it all the same; whether one did, its end would tell.
            return _Release(None, None)
        # Told, and released at once by who told: itself, or who handed it on.
        return _Release(last.by, is_auto=True)
    if parent is None and not _is_surely_there(last.holder, state, world):
        # It reaped it and died, or died and handed it on to one that ignores it.
        return _Release(None, None)
    if parent is None:
        # That it is there rests on its end not having been seen.
        return _Release(last.holder, is_auto=False, rests_on=_NOT_ENDED)
    if parent == last.holder:
        if state.exit_signo == 0 and _is_tracers(last, state) and parent != state.original_parent:
            # Handed on in silence, and back by its father's death? An heir that does
            # not ignore SIGCHLD would have been told.
            does = event.parent_sigchld
            is_told = does in (SigchldAction.CAUGHT, SigchldAction.DEFAULT)
            return _Release(parent, is_auto=False) if is_told else _Release(None, None)
        if _is_tracers(last, state) and _may_have_ended(parent, world):
            # __ptrace_detach(): a parent that traces its own child and ignores SIGCHLD
            # as it ends releases it then; it may have waited for it before.
            return _Release(None, None)
        return _Release(last.holder, is_auto=False)
    return _handed_on_in_silence(event, state, parent, last.holder, world)


def _of_nobody_told(
    event: ReapEvent, state: ProcessState, parent: ProcessKey | None, world: World
) -> _Release:
    zombie = state.zombie
    if state.exit_ns is None:
        # Its end is lost, and with it what its parent was to be told by.
        return _Release(None, None)
    was_told_before = (
        zombie is not None and zombie.begin_precision is Precision.LOWER_BOUND
    ) or state.exit_signo == 0
    if was_told_before:
        tracer = state.tracer_host_pid
        if state.is_seeded and tracer is not None and (parent is None or parent.host_pid != tracer):
            # The tracer held it; that the parent was told after was not seen.
            return _Release(None, None)
        if parent is None or (_is_tracer(parent, state) and _may_have_ended(parent, world)):
            return _Release(None, None)
        if parent == state.original_parent:
            return _Release(parent, is_auto=False)
        return _handed_on_in_silence(event, state, parent, state.original_parent, world)
    if state.exit_signo == SIGCHLD:
        # A tracer that still was one would have been told, too.
        return _Release(state.key, is_auto=True, rests_on=_NOT_TOLD)
    return _Release(None, None)


def _handed_on_in_silence(
    event: ReapEvent,
    state: ProcessState,
    heir: ProcessKey,
    former: ProcessKey | None,
    world: World,
) -> _Release:
    # do_notify_parent() is silent towards an heir that ignores SIGCHLD; then the
    # one who handed it on released it. It may have been told unseen, though; and a
    # child without an exit signal is handed on by its tracer in silence.
    if state.exit_signo == 0 and state.tracer_host_pid is not None:
        if heir == state.original_parent:
            return _Release(heir, is_auto=False)
        return _Release(None, None)
    may_be_told = state.zombie is not None and state.zombie.may_be_told
    if not may_be_told and _would_be_seen(state, heir, former, world):
        return _Release(former, is_auto=True, rests_on=_NOT_TOLD)
    if event.parent_sigchld in (SigchldAction.CAUGHT, SigchldAction.DEFAULT):
        return _Release(heir, is_auto=False)
    return _Release(None, None)


def _would_be_seen(
    state: ProcessState, heir: ProcessKey, former: ProcessKey | None, world: World
) -> bool:
    """Whether the kernel side would have passed a notification of the heir.

    It passes those to and from the target, and those to the host's own
    namespace: there it knows the zombie by its number.
    """
    if world.table.get(heir) is not None or world.table.get(former) is not None:
        return True
    levels = [scope.level for scope in state.scopes if not scope.is_shared]
    return min(levels, default=state.snapshot.pidns_level or 0) <= 1


def _is_in_teardown(event: ReapEvent, state: ProcessState, scope: Scope) -> bool:
    begin_ns = scope.zap_ns
    if scope.is_shared or begin_ns is None:
        return False
    if event.precision is Precision.EXACT:
        return event.boot_ns >= begin_ns
    if state.exit_ns is not None and state.exit_ns >= begin_ns:
        return True
    # zap_pid_ns_processes signals every task left, zombies too: one that got
    # none had been released before, unless its release is told far too late.
    if state.teardown_signalled_ns is not None and state.teardown_signalled_ns >= begin_ns:
        return True
    return event.boot_ns - begin_ns > RCU_SLACK_NS


def _note_presence(state: ProcessState, parent: ProcessKey | None, world: World) -> None:
    # Handed on by a father's death, it was there when that came.
    if parent is None or parent == state.original_parent:
        return
    father = world.table.get(state.original_parent)
    if father is not None and father.exit_ns is not None:
        state.note_presence(father.exit_ns, is_alive=False)


def _is_surely_there(holder: ProcessKey, state: ProcessState, world: World) -> bool:
    """Whether who was told last cannot have handed a zombie on since."""
    if _is_tracer(holder, state):
        # A tracer lets go of it as it dies, an init before it takes its namespace down.
        return holder == state.original_parent and not _may_have_ended(holder, world)
    if any(scope.init == holder for scope in state.scopes if not scope.is_shared):
        # An init waits until its last child is gone.
        return True
    told = world.table.get(holder)
    return told is not None and told.is_alive


def _may_have_ended(parent: ProcessKey, world: World) -> bool:
    known = world.table.get(parent)
    return known is None or not known.is_alive


def _is_tracers(holding: Holding, state: ProcessState) -> bool:
    return _is_tracer(holding.holder, state)


def _is_tracer(holder: ProcessKey, state: ProcessState) -> bool:
    return state.tracer_host_pid is not None and holder.host_pid == state.tracer_host_pid


def _duration(
    event: ReapEvent, state: ProcessState, *, was_none: bool
) -> tuple[int | None, Precision]:
    zombie: ZombieState | None = state.zombie
    if was_none:
        # exit_notify put it straight into EXIT_DEAD: nobody could see a zombie.
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
