"""Lifetimes that are one event each, emitted when they are over.

It says what its single events would: mostly that is concluded at once, and where
anything else may bear on it, it is split into them and they go the usual way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tracer.correlate.process import ProcessState, ReapDuty, ReapState, ZombieState
from tracer.correlate.trace_state import TraceState
from tracer.model.annotated import Annotated
from tracer.model.events import LifetimeEvent, Precision, ReapEvent, SigchldAction
from tracer.model.lifetime import split_lifetime
from tracer.model.signals import SIGCHLD, Disposition
from tracer.model.verdicts import ReapKind

_SIGCHLD_ACTIONS = {
    Disposition.CAUGHT: SigchldAction.CAUGHT,
    Disposition.DEFAULT: SigchldAction.DEFAULT,
    Disposition.IGNORED: SigchldAction.IGNORED,
}
_NOT_TORN_DOWN = frozenset({"signal", "exit", "teardown_begin"})

Handlers = Mapping[type, Callable[[Any], Annotated | None]]


def is_plain(trace: TraceState, event: LifetimeEvent) -> bool:
    """Whether nothing but its own event bears on what is concluded of a lifetime."""
    process, scopes = event.process, trace.scopes
    if trace.table.by_host_pid(process.host_pid) is not None or scopes.has_shared:
        return False
    if event.seen_boot_ns is not None:
        # How long it was a zombie is up to the tracer.
        return False
    if event.exit_ns is None or event.notified_ns is None or event.status is None:
        return False
    if event.boot_ns - event.notified_ns >= trace.options.min_zombie_ns:
        return False
    if not process.pidns_level:
        return True
    around = scopes.around(process)
    return bool(around) and all(
        scope.init_exit_ns is None and scope.open_stop is None for scope in around
    )


def note_parts(trace: TraceState, event: LifetimeEvent, handlers: Handlers) -> Annotated | None:
    """Enter a lifetime event by event.

    Returns:
        The lifetime, with what was concluded of its release; None where that was known.
    """
    release: Annotated | None = None
    for part in split_lifetime(event):
        annotated = handlers[type(part)](part)
        if isinstance(part, ReapEvent):
            release = annotated
    if release is None:
        return None
    state = trace.table.get(event.process.key)
    return Annotated(
        event,
        # On a host it has been forgotten by now.
        container=release.container,
        cause=state.cause if state is not None else None,
        zombie_ns=release.zombie_ns,
        reap_kind=release.reap_kind,
        reaper_host_pid=release.reaper_host_pid,
        reaper_comm=release.reaper_comm,
        precision=release.precision,
        is_turning_point=release.is_turning_point,
    )


def note_lifetime(trace: TraceState, event: LifetimeEvent) -> ProcessState:
    """Enter a plain lifetime, and keep it for the report."""
    process, table = event.process, trace.table
    holder = process.parent_key
    notified_ns, zombie_ns, precision = _zombie(event)
    _note_reaper(trace, event)
    state = ProcessState(
        snapshot=process,
        born_ns=event.forked_ns,
        is_seeded=False,
        is_seen_late=False,
        original_parent=holder,
        original_parent_pidns_inum=process.parent_pidns_inum,
        exit_ns=event.exit_ns,
        status=event.status,
        parent_sigchld=event.parent_sigchld,
        seen_until_ns=notified_ns,
        alive_until_ns=event.exec_ns or event.forked_ns,
        executed_ns=event.exec_ns,
    )
    state.zombie = ZombieState(notified_ns, Precision.EXACT)
    if holder is not None:
        sigchld = _SIGCHLD_ACTIONS.get(event.disposition, event.parent_sigchld)
        state.zombie.duties.append(
            ReapDuty(holder, notified_ns, SIGCHLD, state.key, sigchld, nocldwait=False)
        )
    state.reap = ReapState(
        boot_ns=event.boot_ns,
        precision=precision,
        kind=ReapKind.PARENT,
        reaper=holder,
        reaper_comm=process.parent_comm,
        zombie_ns=zombie_ns,
        zombie_precision=precision,
        rests_on=_NOT_TORN_DOWN if process.pidns_level else frozenset(),
    )
    table.add_released(state)
    state.scopes = trace.scopes.around(process)
    return state


def pass_lifetime(trace: TraceState, event: LifetimeEvent) -> Annotated:
    """Enter a plain lifetime that no report will mention."""
    _note_reaper(trace, event)
    trace.table.note_forgotten(event.process.key, event.process.comm)
    return annotate(trace, event, None)


def _note_reaper(trace: TraceState, event: LifetimeEvent) -> None:
    process, table = event.process, trace.table
    parent = process.parent_key
    if parent is None:
        return
    if process.parent_comm:
        table.note_name(parent, process.parent_comm)
    table.note_reaped(parent)


def _zombie(event: LifetimeEvent) -> tuple[int, int, Precision]:
    notified_ns = event.notified_ns or event.boot_ns
    return (
        notified_ns,
        max(0, event.boot_ns - notified_ns),
        event.precision or Precision.UPPER_BOUND,
    )


def annotate(trace: TraceState, event: LifetimeEvent, state: ProcessState | None) -> Annotated:
    """Conclude a plain lifetime.

    Args:
        trace: Everything known so far.
        event: The lifetime.
        state: What is kept of it, or None.
    """
    process = event.process
    _, zombie_ns, precision = _zombie(event)
    if state is not None:
        container = trace.scopes.container_around(state)
    else:
        container = trace.scopes.container_of(process)
    return Annotated(
        event,
        container=container,
        zombie_ns=zombie_ns,
        reap_kind=ReapKind.PARENT,
        reaper_host_pid=process.parent_host_pid,
        reaper_comm=process.parent_comm,
        precision=precision,
    )
