"""Who released a zombie, and how: told with kprobes and without alike.

With release_task ``current`` names the reaper. Without it the same follows
from the last exit notification (whom the kernel told), the final real_parent,
and the SIGKILL that a teardown sends to every zombie that is left.
"""

from __future__ import annotations

from tracer.correlate.scopes import Scope
from tracer.correlate.state import ProcessState, ReapState
from tracer.correlate.table import ProcessTable
from tracer.model.events import Precision, ReapEvent, SigchldAction
from tracer.model.identity import ProcessKey
from tracer.model.verdicts import ReapKind


def judge_reap(
    event: ReapEvent,
    state: ProcessState,
    scopes: list[Scope],
    table: ProcessTable,
    *,
    signals_lost: bool,
) -> ReapState:
    """Conclude kind, reaper and duration of a zombie from its release.

    Args:
        event: The release.
        state: The process, its exit and notifications already entered.
        scopes: The scopes it was a member of.
        table: To validate a parent pointer and to name the reaper.
        signals_lost: Whether signal records were lost while it was a zombie:
            then the absence of a notification proves nothing.
    """
    reaper = _final_parent(event, state, table)
    is_auto = _is_auto(event, state, reaper, signals_lost=signals_lost)
    in_teardown = any(
        scope.init != state.key and _is_in_teardown(event, state, scope) for scope in scopes
    )
    if in_teardown:
        kind = ReapKind.TEARDOWN
        reaper = _teardown_reaper(event, state, reaper, is_auto=is_auto)
    elif is_auto:
        kind = ReapKind.AUTO
        reaper = state.key
    elif reaper is None:
        kind = ReapKind.UNKNOWN
    elif reaper == state.original_parent:
        kind = ReapKind.PARENT
    else:
        kind = ReapKind.ADOPTER
    zombie_ns, precision = _duration(event, state, is_auto=is_auto)
    return ReapState(
        boot_ns=event.boot_ns,
        precision=event.precision,
        kind=kind,
        reaper=reaper,
        reaper_comm=table.comm_of(reaper),
        zombie_ns=zombie_ns,
        zombie_precision=precision,
    )


def _final_parent(
    event: ReapEvent, state: ProcessState, table: ProcessTable
) -> ProcessKey | None:
    if event.actor is not None:
        return event.actor.key
    parent = event.process.parent_key
    # The freed task's real_parent may dangle: believe it only where another
    # event named the same process; else whom the kernel told last.
    if parent is not None and table.is_known(parent):
        return parent
    zombie = state.zombie
    if zombie is not None and zombie.notified is not None and state.tracer_host_pid is None:
        return zombie.notified
    return None


def _is_auto(
    event: ReapEvent, state: ProcessState, reaper: ProcessKey | None, *, signals_lost: bool
) -> bool:
    if event.actor is not None:
        # release_task from the dying task itself (exit_notify), from a dying
        # father whose heir ignores SIGCHLD (forget_original_parent), or from a
        # tracer's wait whose real parent ignores it.
        if event.actor.key == state.key:
            return True
        if event.actor.is_exiting:
            return True
        return (
            state.tracer_host_pid is not None
            and event.actor.host_pid == state.tracer_host_pid
            and event.actor.key != state.original_parent
        )
    if state.exit_signo == 0 or state.exit_ns is None:
        return False
    zombie = state.zombie
    if zombie is None or zombie.notified is None:
        if signals_lost or state.is_seeded and zombie is not None and zombie.begin_precision is (
            Precision.LOWER_BOUND
        ):
            return state.parent_sigchld is SigchldAction.IGNORED
        return state.tracer_host_pid is None
    if zombie.notified_nocldwait:
        return True
    # Handed to an heir that was not told: do_notify_parent is silent only
    # towards a parent that ignores SIGCHLD.
    return (
        reaper is not None
        and state.tracer_host_pid is None
        and reaper != zombie.notified
        and not signals_lost
    )


def _is_in_teardown(event: ReapEvent, state: ProcessState, scope: Scope) -> bool:
    begin = scope.teardown_from_ns
    if begin is None:
        return False
    if event.precision is Precision.EXACT:
        return event.boot_ns >= begin
    if state.exit_ns is not None and state.exit_ns >= begin:
        return True
    # zap_pid_ns_processes signals every task left, zombies too: one that got
    # none had been released before, however late it is freed.
    return state.teardown_signalled


def _teardown_reaper(
    event: ReapEvent, state: ProcessState, reaper: ProcessKey | None, *, is_auto: bool
) -> ProcessKey | None:
    if event.actor is not None:
        return event.actor.key
    return state.key if is_auto else reaper


def _duration(
    event: ReapEvent, state: ProcessState, *, is_auto: bool
) -> tuple[int | None, Precision]:
    zombie = state.zombie
    if is_auto and (zombie is None or zombie.notified is None or zombie.notified_nocldwait):
        # exit_notify put it straight into EXIT_DEAD: nobody could see a zombie.
        if zombie is None or zombie.begin_precision is not Precision.LOWER_BOUND:
            return 0, Precision.EXACT
    if zombie is None:
        return None, event.precision
    duration = max(0, event.boot_ns - zombie.begin_ns)
    if zombie.begin_precision is Precision.LOWER_BOUND:
        return duration, Precision.LOWER_BOUND
    if event.precision is Precision.EXACT and zombie.begin_precision is Precision.EXACT:
        return duration, Precision.EXACT
    return duration, Precision.UPPER_BOUND
