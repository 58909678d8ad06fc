"""ZT107: a namespace whose end took long, and for whom it waited."""

from __future__ import annotations

from collections.abc import Iterator

from tracer.correlate import wording
from tracer.correlate.correlator import Correlator
from tracer.correlate.evidence import say_how_held
from tracer.correlate.findings.make import is_complete, make_finding
from tracer.correlate.scopes import Scope
from tracer.correlate.state import ProcessState
from tracer.correlate.zombies import release_of, responsible_for
from tracer.model.report import Finding

TEARDOWN_BLOCKED_NS = 1_000_000_000
"""A teardown longer than this waited for somebody."""


def find_blocked_teardowns(correlator: Correlator) -> Iterator[Finding]:
    """One finding for each namespace whose end was held up."""
    for scope in correlator.scopes:
        init = correlator.table.get(scope.init)
        if init is not None and not scope.is_shared:
            yield from _blocked(correlator, scope, init)


def _blocked(correlator: Correlator, scope: Scope, init: ProcessState) -> Iterator[Finding]:
    begin_ns, end_ns = scope.init_exit_ns, scope.init_notified_ns or scope.teardown_end_ns
    if begin_ns is None or (end_ns is None and init.is_released):
        return
    lasted_ns = (end_ns if end_ns is not None else correlator.now_ns) - begin_ns
    if lasted_ns < TEARDOWN_BLOCKED_NS:
        return
    late_ns = begin_ns + TEARDOWN_BLOCKED_NS
    held_by = sorted(
        (
            state
            for stop in scope.stops
            for key in stop.members
            if (state := correlator.table.get(key)) is not None and _was_there(state, late_ns)
        ),
        key=lambda state: state.key,
    )
    dead = [state for state in held_by if state.exit_ns is not None and state.exit_ns < late_ns]
    alive = [state for state in held_by if state not in dead]
    reasons = [
        reason
        for reason in (_say_unreaped(correlator, dead), _say_alive(correlator, alive))
        if reason
    ]
    why = wording.enumerate_all(reasons) or "for whom is not known"
    took = f"took {wording.seconds(lasted_ns)}"
    if end_ns is None:
        took = f"was not over after {wording.seconds(lasted_ns)}"
    yield make_finding(
        "ZT107",
        title=f"the end of {scope.label} {took}",
        detail=(
            f"{wording.named(init)} {wording.ended(init.status)}, but its namespace ends only when"
            f" the last process in it is gone, and that {took}: {why}."
        ),
        advice=_advice(correlator, dead, alive),
        states=held_by,
        complete=is_complete(correlator, held_by, begin_ns, end_ns),
    )


def _was_there(state: ProcessState, boot_ns: int) -> bool:
    release = release_of(state)
    return release is None or release.boot_ns >= boot_ns


def _say_unreaped(correlator: Correlator, dead: list[ProcessState]) -> str:
    if not dead:
        return ""
    names = wording.name_counts(dead)
    was = wording.was_or_were(len(dead))
    injected = [state for state in dead if state.is_injected]
    evidence = "; ".join(filter(None, (say_how_held(correlator, state.key) for state in dead[:1])))
    more = f" ({evidence})" if evidence else ""
    if not injected:
        return f"{names} {was} dead and not yet reaped{more}"
    parent = responsible_for(injected[0])
    comm = correlator.table.comm_of(parent) or "its parent"
    pid = f" (host pid {parent.host_pid})" if parent is not None else ""
    return (
        f"{names} had been put in from outside (docker exec, nsenter) and {was} dead, but"
        f" {comm}{pid} outside, which must reap {'it' if len(dead) == 1 else 'them'}, had not{more}"
    )


def _say_alive(correlator: Correlator, alive: list[ProcessState]) -> str:
    if not alive:
        return ""
    evidence = "; ".join(filter(None, (say_how_held(correlator, state.key) for state in alive[:1])))
    what = evidence or (
        "not even SIGKILL ends a process in uninterruptible sleep or in a frozen v1 cgroup"
    )
    return f"{wording.name_counts(alive)} had not ended of its SIGKILL ({what})"


def _advice(correlator: Correlator, dead: list[ProcessState], alive: list[ProcessState]) -> str:
    parts = []
    if dead:
        parent = correlator.table.comm_of(responsible_for(dead[0]))
        parts.append(
            f"{parent or 'The process that put it in'} must wait for what it started in the"
            " container; ending it hands the zombie to one that does."
        )
    if alive or not dead:
        parts.append(
            "Look what the process is blocked in (/proc/PID/stack, wchan): a dead NFS server, a"
            " broken disk, a frozen cgroup. Thaw or mend that."
        )
    return " ".join(parts)
