"""Whether a process belongs to a scope by descent, or came from outside (docker exec)."""

from __future__ import annotations

import itertools

from tracer.correlate.process import ProcessState
from tracer.correlate.process_table import ProcessTable
from tracer.correlate.scope import Scope
from tracer.model.identity import Actor, ProcessKey

_FEW = 2
"""Of so few scopes each is asked about faster by itself."""


def is_passing_on(actor: Actor, scope: Scope, table: ProcessTable) -> bool:
    """Whether a sender belongs to what is being stopped.

    An injected process (docker exec) does not, nor do its descendants.
    """
    state = table.get(actor.key)
    if state is None or scope not in state.scopes:
        return False
    return not is_put_in(state, scope, table)


def is_descent_known(state: ProcessState, scope: Scope, table: ProcessTable) -> bool:
    """Whether a member's descent from its scope's init is known without a gap."""
    if scope.init == state.key:
        return True
    if state.is_seen_late:
        return False
    for ancestor in table.ancestors(state):
        if scope.init == ancestor.key:
            return True
        if ancestor.is_seen_late:
            return False
    return False


def is_put_in(state: ProcessState, scope: Scope, table: ProcessTable) -> bool:
    """Whether a member of a scope, or an ancestor of it, came from outside."""
    if scope.init == state.key or scope not in state.scopes:
        return False
    if _came_from_outside(state, scope, table):
        return True
    for ancestor in table.ancestors(state):
        if scope.init == ancestor.key or scope not in ancestor.scopes:
            return False
        if _came_from_outside(ancestor, scope, table):
            return True
    return False


def scopes_put_into(state: ProcessState, table: ProcessTable) -> set[Scope]:
    """The scopes that a process, or an ancestor of it, came into from outside.

    Those for which :func:`is_put_in` holds, found in one walk: there may be 32 of them, and as
    many ancestors in each.
    """
    if len(state.scopes) <= _FEW:
        return {scope for scope in state.scopes if is_put_in(state, scope, table)}
    found: set[Scope] = set()
    left = set(state.scopes)
    led: dict[ProcessKey, list[Scope]] = {}
    for scope in state.scopes:
        led.setdefault(scope.init, []).append(scope)
    for one in itertools.chain((state,), table.ancestors(state)):
        left.intersection_update(one.scopes)
        left.difference_update(led.get(one.key, ()))
        came = _scopes_from_outside(one, left, table)
        found |= came
        left -= came
        if not left:
            break
    return found


def _scopes_from_outside(
    state: ProcessState, scopes: set[Scope], table: ProcessTable
) -> set[Scope]:
    if state.came_in is not None:
        return scopes.intersection(state.came_in)
    parent = table.get(state.original_parent)
    if parent is not None:
        return scopes.difference(parent.scopes)
    return {scope for scope in scopes if _came_from_outside(state, scope, table)}


def _came_from_outside(state: ProcessState, scope: Scope, table: ProcessTable) -> bool:
    if state.came_in is not None:
        return scope in state.came_in
    parent = table.get(state.original_parent)
    if parent is not None:
        return scope not in parent.scopes
    if scope.is_shared:
        return not state.is_seeded
    inum = state.original_parent_pidns_inum
    up_to = state.scopes.index(scope) + 1
    return inum is not None and inum not in {one.pidns.inum for one in state.scopes[:up_to]}
