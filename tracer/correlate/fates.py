"""What processes, zombies and stops have in common that are counted and not listed."""

from __future__ import annotations

from typing import NamedTuple

from tracer.correlate import causes, descent
from tracer.correlate.ledger import Ledger
from tracer.correlate.process import ProcessState
from tracer.correlate.scope import Scope
from tracer.correlate.stops import StopState
from tracer.correlate.trace_state import TraceState
from tracer.correlate.zombies import ZombieView, view_zombie
from tracer.model.signals import signal_name
from tracer.model.verdicts import Cause, End, ReapKind, StopOutcome

_BY_ITSELF = frozenset({None, Cause.SELF})


class ProcessKind(NamedTuple):
    """What processes have in common that are counted together."""

    container_id: str | None
    comm: str | None
    end: End | None
    exit_code: int | None
    term_signal: str | None
    cause: Cause | None
    sender_comm: str | None


class ZombieKind(NamedTuple):
    """What zombies have in common that are counted together."""

    container_id: str | None
    comm: str | None
    parent_host_pid: int | None
    parent_comm: str | None
    reaped: bool
    reap_kind: ReapKind | None


class StopKind(NamedTuple):
    """What stops have in common that are counted together."""

    container_name: str | None
    init_comm: str | None
    trigger: str
    stop_signal: str | None
    outcome: StopOutcome | None
    escalated: bool
    init_exit_code: int | None
    init_term_signal: str | None
    init_cause: Cause | None


def process_kind(trace: TraceState, state: ProcessState, end: End | None) -> ProcessKind:
    """What to count a process under."""
    status, fatal = state.status, state.fatal_signal
    container = trace.scopes.container_around(state)
    by_user = fatal is not None and causes.is_sent_by_user(fatal.event)
    return ProcessKind(
        container_id=container.id if container is not None else None,
        comm=state.comm,
        end=end,
        exit_code=status.exit_code if status is not None else None,
        term_signal=status.signal_name if status is not None else None,
        cause=state.cause,
        sender_comm=fatal.event.actor.comm if fatal is not None and by_user else None,
    )


def zombie_kind(trace: TraceState, view: ZombieView) -> ZombieKind:
    """What to count a zombie under."""
    container = trace.scopes.container_around(view.state)
    return ZombieKind(
        container_id=container.id if container is not None else None,
        comm=view.state.comm,
        parent_host_pid=view.responsible.host_pid if view.responsible is not None else None,
        parent_comm=trace.table.comm_of(view.responsible),
        reaped=view.reap is not None,
        reap_kind=view.reap.kind if view.reap is not None else None,
    )


def stop_kind(trace: TraceState, scope: Scope, stop: StopState) -> StopKind:
    """What to count a stop under."""
    init = trace.table.get(scope.init) if stop.init_exit_ns is not None else None
    status = init.status if init is not None else None
    event = stop.stop_signal
    return StopKind(
        container_name=scope.container.name if scope.container is not None else None,
        init_comm=trace.table.comm_of(scope.init),
        trigger=stop.trigger.value,
        stop_signal=signal_name(event.signo) if event is not None else None,
        outcome=stop.outcome,
        escalated=stop.escalated,
        init_exit_code=status.exit_code if status is not None else None,
        init_term_signal=status.signal_name if status is not None else None,
        init_cause=init.cause if init is not None else None,
    )


def process_ledger(most: int) -> Ledger[ProcessKind]:
    """Counts of processes: those killed first."""
    return Ledger(
        most,
        lambda kind: kind._replace(container_id=None, comm=None, sender_comm=None),
        lambda kind: 0 if kind.cause not in _BY_ITSELF else 1 if kind.exit_code != 0 else 2,
    )


def zombie_ledger(most: int) -> Ledger[ZombieKind]:
    """Counts of zombies: those still there first."""
    return Ledger(
        most,
        lambda kind: kind._replace(
            container_id=None, comm=None, parent_host_pid=None, parent_comm=None
        ),
        lambda kind: int(kind.reaped),
    )


def stop_ledger(most: int) -> Ledger[StopKind]:
    """Counts of stops: those that went wrong first."""
    return Ledger(
        most,
        lambda kind: kind._replace(container_name=None, init_comm=None),
        lambda kind: 0 if kind.escalated or kind.outcome is StopOutcome.SURVIVED else 1,
    )


def verdict_of(
    trace: TraceState, state: ProcessState, instants: tuple[int, ...]
) -> tuple[object, ...]:
    """Everything that verdicts rest on, of a process that is over.

    Two processes with equal ones are described alike, and one can stand for both.

    Args:
        trace: Everything known.
        state: The process.
        instants: Those for which the zombies that were there are counted.
    """
    fatal = state.fatal_signal.event if state.fatal_signal is not None else None
    return (
        state.comm,
        state.scopes,
        state.status,
        state.cause,
        state.is_seen_late,
        state.is_injected,
        fatal and (fatal.signo, fatal.actor.key, fatal.actor.comm, fatal.info),
        state.leader_exit_ns is not None,
        _zombie_verdict(trace, state, instants),
        tuple(_stop_verdict(state, scope, stop) for scope, stop in stops_of(state)),
        frozenset(descent.scopes_put_into(state, trace.table)),
    )


def stops_of(state: ProcessState) -> list[tuple[Scope, StopState]]:
    """The stops a process is a member of."""
    return [
        (scope, stop) for scope in state.scopes for stop in scope.stops if state.key in stop.members
    ]


def _stop_verdict(state: ProcessState, scope: Scope, stop: StopState) -> tuple[object, ...]:
    begin_ns = stop.begin_ns
    return (
        scope,
        begin_ns,
        state.original_parent,
        state.exit_ns is not None and state.exit_ns <= begin_ns,
        state.had_stop_signal_since(begin_ns),
        state.stop_signal.disposition if state.stop_signal is not None else None,
        state.told_ns is not None and state.told_ns >= begin_ns,
        state.born_ns > begin_ns,
        state.executed_ns is None,
        (seen := state.signalled_since(begin_ns)) and (seen.signo, seen.sender),
    )


def _zombie_verdict(
    trace: TraceState, state: ProcessState, instants: tuple[int, ...]
) -> tuple[object, ...] | None:
    view = view_zombie(trace, state)
    if view is None or view.begin_ns is None or view.reap is None:
        return None
    begin_ns, until_ns = view.begin_ns, view.reap.boot_ns
    return (
        view.precision,
        (view.at_least_ns or 0) >= trace.options.min_zombie_ns,
        view.reap.kind,
        view.reap.reaper,
        view.responsible,
        view.holder == view.responsible,
        view.is_orphan,
        view.parent_sigchld,
        tuple(instant for instant in instants if begin_ns <= instant < until_ns),
    )
