"""Zombies of one parent say much the same: what is equal is kept once for all of them.

A parent that never waits has as many as its pids allow, and each is kept for as long as
the trace goes on.
"""

from __future__ import annotations

from typing import TypeVar

from tracer.correlate.process import ProcessState, ReapDuty
from tracer.correlate.suspects import NO_SUSPECTS
from tracer.model.identity import ProcessKey, ProcessSnapshot

_T = TypeVar("_T")


def share(state: ProcessState, sibling: ProcessState | None) -> None:
    """Drop what a zombie keeps twice, and what another of the same parent keeps too.

    Nothing that it says changes.

    Args:
        state: The zombie.
        sibling: One that became a zombie before it, or None.
    """
    other = sibling.snapshot if sibling is not None else None
    if other is None or sibling is None:
        other, parent = state.snapshot, state.original_parent
    else:
        parent = _one(state.original_parent, sibling.original_parent)
    state.original_parent = parent
    state.original_parent_pidns_inum = _one(
        state.original_parent_pidns_inum, other.parent_pidns_inum
    )
    state.snapshot = _like(state.snapshot, other, state.key)
    if state.zombie is not None:
        for holding in state.zombie.duties:
            _share_keys(holding, state.key, parent)
    if state.status is not None and state.status.signo is None and state.suspects.is_empty:
        # No signal that is reported later can have killed it.
        state.suspects = NO_SUSPECTS


def _share_keys(holding: ReapDuty, own: ProcessKey, parent: ProcessKey | None) -> None:
    holding.holder = holding.holder if parent is None else _one(holding.holder, parent)
    holding.by = _one(holding.by, own)


def _like(snapshot: ProcessSnapshot, other: ProcessSnapshot, key: ProcessKey) -> ProcessSnapshot:
    shared = ProcessSnapshot(
        host_pid=key.host_pid,
        start_boot_ns=key.start_boot_ns,
        ns_pid=snapshot.ns_pid,
        comm=_one(snapshot.comm, other.comm),
        parent_host_pid=_one(snapshot.parent_host_pid, other.parent_host_pid),
        parent_start_boot_ns=_one(snapshot.parent_start_boot_ns, other.parent_start_boot_ns),
        parent_comm=_one(snapshot.parent_comm, other.parent_comm),
        parent_pidns_inum=_one(snapshot.parent_pidns_inum, other.parent_pidns_inum),
        pidns_inum=_one(snapshot.pidns_inum, other.pidns_inum),
        pidns_level=snapshot.pidns_level,
        init_start_boot_ns=_one(snapshot.init_start_boot_ns, other.init_start_boot_ns),
        cgroup_id=_one(snapshot.cgroup_id, other.cgroup_id),
        is_init=snapshot.is_init,
    )
    shared.key = key
    return shared


def _one(mine: _T, others: _T) -> _T:
    return others if mine == others else mine
