"""Zombies as a report sees them: how long, whose, and whose fault."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tracer.correlate.correlator import Correlator
from tracer.correlate.state import ProcessState
from tracer.model.events import Precision, SigchldAction
from tracer.model.identity import ProcessKey


@dataclass(frozen=True, slots=True)
class ZombieView:
    """A process that was a zombie for some time.

    Args:
        responsible: Who had to reap it last.
        is_orphan: Its own parent had died before it was reaped.
        injected: Its parent lives outside its PID namespace.
        is_leader_only: Only its main thread ended: nobody can reap it yet.
    """

    state: ProcessState
    begin_ns: int | None
    zombie_ns: int | None
    precision: Precision
    responsible: ProcessKey | None
    is_orphan: bool
    injected: bool
    is_leader_only: bool
    parent_sigchld: SigchldAction


def view_zombies(correlator: Correlator) -> Iterator[ZombieView]:
    """Every zombie worth naming: old, there before tracing, or a leader alone."""
    min_ns = correlator.options.min_zombie_ns
    for state in correlator.table:
        view = view_zombie(correlator, state)
        if view is None:
            continue
        is_old = view.zombie_ns is not None and view.zombie_ns >= min_ns
        was_there = view.precision is Precision.LOWER_BOUND and state.is_seeded
        if view.is_leader_only:
            since = state.leader_exit_ns
            if since is not None and correlator.now_ns - since >= min_ns:
                yield view
        elif is_old or was_there:
            yield view


def view_zombie(correlator: Correlator, state: ProcessState) -> ZombieView | None:
    """One process as a zombie, or None where it never was one."""
    is_leader_only = state.exit_ns is None and state.leader_exit_ns is not None
    zombie, reap = state.zombie, state.reap
    if not is_leader_only and zombie is None:
        return None
    begin_ns: int | None
    zombie_ns: int | None
    if is_leader_only:
        begin_ns = state.leader_exit_ns
        zombie_ns = correlator.now_ns - (begin_ns or correlator.now_ns)
        precision = Precision.LOWER_BOUND
    elif reap is not None:
        begin_ns = zombie.begin_ns if zombie is not None else None
        zombie_ns, precision = reap.zombie_ns, reap.zombie_precision
    else:
        begin_ns = zombie.begin_ns if zombie is not None else None
        zombie_ns = correlator.now_ns - (begin_ns or correlator.now_ns)
        precision = Precision.LOWER_BOUND
    responsible = responsible_for(state)
    snapshot = state.snapshot
    return ZombieView(
        state=state,
        begin_ns=begin_ns,
        zombie_ns=zombie_ns,
        precision=precision,
        responsible=responsible,
        is_orphan=responsible is not None and responsible != state.original_parent,
        injected=(
            not snapshot.is_init
            and snapshot.parent_pidns_inum is not None
            and snapshot.pidns_inum is not None
            and snapshot.parent_pidns_inum != snapshot.pidns_inum
        ),
        is_leader_only=is_leader_only,
        parent_sigchld=state.parent_sigchld,
    )


def responsible_for(state: ProcessState) -> ProcessKey | None:
    """Who had to reap a process last: whom the kernel told, else its parent."""
    if state.zombie is not None and state.zombie.notified is not None:
        return state.zombie.notified
    return state.snapshot.parent_key
