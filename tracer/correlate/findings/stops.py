"""ZT101, ZT102, ZT103, ZT107: what went wrong while something was stopped."""

from __future__ import annotations

from collections.abc import Iterator

from tracer.correlate import wording
from tracer.correlate.correlator import Correlator
from tracer.correlate.findings.make import is_complete, make_finding
from tracer.correlate.scopes import Scope
from tracer.correlate.state import ProcessState
from tracer.correlate.stops import StopState
from tracer.model.events import SignalEvent
from tracer.model.identity import ProcessKey
from tracer.model.report import Finding
from tracer.model.signals import Disposition, SignalResult, signal_name
from tracer.model.verdicts import Cause

TEARDOWN_BLOCKED_NS = 1_000_000_000
"""A teardown longer than this waited for somebody."""


def find_in_stops(correlator: Correlator) -> Iterator[Finding]:
    """The findings of every stop."""
    for scope in correlator.scopes:
        init = correlator.table.get(scope.init)
        if init is None:
            continue
        for stop in scope.stops:
            yield from _dropped(correlator, scope, stop, init)
            yield from _not_forwarded(correlator, scope, stop, init)
            yield from _grace_expired(correlator, scope, stop, init)
        yield from _teardown_blocked(correlator, scope, init)


def is_dropped(event: SignalEvent) -> bool:
    """Whether the kernel dropped a signal because init has no handler.

    Source: sig_task_ignored(): SIGNAL_UNKILLABLE and SIG_DFL.
    """
    return (
        event.result is SignalResult.IGNORED
        and event.disposition is Disposition.DEFAULT
        and event.target_unkillable
    )


def _dropped(
    correlator: Correlator, scope: Scope, stop: StopState, init: ProcessState
) -> Iterator[Finding]:
    event = stop.stop_signal
    if event is None or not is_dropped(event):
        return
    name = signal_name(stop.stop_signo)
    yield make_finding(
        "ZT101",
        title=f"PID 1 of {scope.label} has no {name} handler",
        detail=(
            f"{wording.sender(event.actor)} sent {name} to {wording.named(init)}. It is the PID 1 of"
            " its namespace and has no handler for it, so the kernel dropped the signal: the"
            " default action does not apply to a namespace's init."
        ),
        advice=(
            f"Let an init be PID 1 (`docker run --init`, or tini in the image), or install a {name}"
            f" handler in {init.comm} (in a shell script: `trap 'kill -TERM \"$child\"; wait' TERM`)."
            " If the program stops on another signal, say so with STOPSIGNAL."
        ),
        states=[init],
        complete=is_complete(correlator, [init], stop.begin_ns),
    )


def unforwarded_victims(
    correlator: Correlator, stop: StopState
) -> list[ProcessState]:
    """Members that the teardown killed although nobody had told them to stop."""
    victims = []
    for key in stop.members:
        state = correlator.table.get(key)
        if state is None or state.cause is not Cause.PIDNS_TEARDOWN:
            continue
        was_told = bool(state.stop_signals) or any(
            sent_ns >= stop.begin_ns for sent_ns in state.signalled_from_inside_ns
        )
        if not was_told:
            victims.append(state)
    return sorted(victims, key=lambda state: state.key)


def blamed_for(
    correlator: Correlator, victim: ProcessState, init: ProcessState
) -> ProcessState:
    """The nearest ancestor that had the stop signal and did not pass it on."""
    for ancestor in correlator.table.ancestors(victim):
        if ancestor.stop_signals:
            return ancestor
    return init


def _not_forwarded(
    correlator: Correlator, scope: Scope, stop: StopState, init: ProcessState
) -> Iterator[Finding]:
    event = stop.stop_signal
    if event is None or stop.escalated or stop.init_exit_ns is None or is_dropped(event):
        return
    by_blamed: dict[ProcessKey, tuple[ProcessState, list[ProcessState]]] = {}
    for victim in unforwarded_victims(correlator, stop):
        blamed = blamed_for(correlator, victim, init)
        by_blamed.setdefault(blamed.key, (blamed, []))[1].append(victim)
    name = signal_name(stop.stop_signo)
    for blamed, victims in by_blamed.values():
        who = "PID 1" if blamed is init else wording.named(blamed)
        ended = f"ended ({init.status})" if init.status is not None else "ended"
        yield make_finding(
            "ZT102",
            title=f"{who} of {scope.label} did not pass {name} on",
            detail=(
                f"{wording.named(blamed)} got {name} and did not send it to"
                f" {wording.name_counts(victims)}; PID 1 {ended}"
                f" {wording.seconds(stop.init_exit_ns - stop.begin_ns)} after the stop began, and the"
                f" kernel sent SIGKILL to what was left of the namespace:"
                f" {wording.processes(len(victims))} had no chance to end in order."
            ),
            advice=_forwarding_advice(blamed, init, name),
            states=[blamed, *victims],
            complete=is_complete(correlator, [blamed, *victims], stop.begin_ns),
        )


def _forwarding_advice(blamed: ProcessState, init: ProcessState, name: str) -> str:
    if blamed.comm in ("sh", "bash", "dash", "ash", "busybox"):
        return (
            f"Start the program with `exec` so that it replaces the shell and gets {name} itself, or"
            " pass the signal on: `trap 'kill -TERM \"$child\"' TERM` and `wait` for the child."
        )
    if blamed is not init or init.comm in ("tini", "docker-init", "dumb-init", "catatonit"):
        return (
            "Let the init signal the whole process group (`tini -g`), or let the process that got"
            f" {name} pass it on to its children and wait for them."
        )
    return (
        f"Pass {name} on to the children and wait for them before exiting, or let an init do it:"
        " `docker run --init`, or tini as the entry point (`tini -g` for whole groups)."
    )


def _grace_expired(
    correlator: Correlator, scope: Scope, stop: StopState, init: ProcessState
) -> Iterator[Finding]:
    event, kill = stop.stop_signal, stop.kill
    if event is None or kill is None:
        return
    name = signal_name(stop.stop_signo)
    waited = wording.seconds(kill.boot_ns - event.boot_ns)
    if is_dropped(event):
        why = f"the kernel had dropped {name} (no handler)"
    elif event.disposition is Disposition.IGNORED:
        why = f"it ignores {name}"
    elif event.disposition is Disposition.CAUGHT:
        why = f"its {name} handler had not ended it"
    elif event.disposition is Disposition.BLOCKED:
        why = f"it had {name} blocked or waited for it with sigwait, and had not ended"
    else:
        why = f"it had not ended after {name}"
    by_kernel = "" if kill.actor.ns_pid == 0 else " (from inside)"
    yield make_finding(
        "ZT103",
        title=f"{scope.label} was killed after a grace of {waited}",
        detail=(
            f"{waited} after {name}, {wording.sender(kill.actor)}{by_kernel} sent SIGKILL to"
            f" {wording.named(init)}: {why}."
        ),
        advice=(
            "First make PID 1 end on the stop signal. If it needs longer for an orderly end, raise the"
            " grace: `docker stop -t`, `--stop-timeout`, stop_grace_period in Compose,"
            " terminationGracePeriodSeconds in Kubernetes."
        ),
        states=[init],
        complete=is_complete(correlator, [init], stop.begin_ns),
    )


def _teardown_blocked(
    correlator: Correlator, scope: Scope, init: ProcessState
) -> Iterator[Finding]:
    begin = scope.init_exit_ns
    if begin is None or scope.is_shared:
        return
    end = scope.init_notified_ns
    lasted = (end if end is not None else correlator.now_ns) - begin
    if lasted < TEARDOWN_BLOCKED_NS or (end is None and init.is_released):
        return
    limit = begin + TEARDOWN_BLOCKED_NS
    held_by = [
        state
        for stop in scope.stops
        for key in sorted(stop.members)
        if (state := correlator.table.get(key)) is not None
        and (state.reap is None or state.reap.boot_ns >= limit)
    ]
    outside = [s for s in held_by if s.snapshot.parent_pidns_inum != s.snapshot.pidns_inum]
    if outside:
        parent = outside[0].snapshot
        why = (
            f"{wording.name_counts(outside)} came from outside (docker exec, nsenter) and"
            f" {parent.parent_comm or 'its parent'} (host pid {parent.parent_host_pid}) had not reaped it"
        )
    elif held_by:
        why = f"it waited for {wording.name_counts(held_by)}"
    else:
        why = "for whom is not known"
    yield make_finding(
        "ZT107",
        title=f"the end of {scope.label} took {wording.seconds(lasted)}",
        detail=f"PID 1 had ended, but its namespace was torn down only after that: {why}.",
        advice=(
            "The process that put a command into the container must wait for it. A task in"
            " uninterruptible sleep (state D) or in a frozen v1 cgroup holds a teardown up too."
        ),
        states=held_by,
        complete=is_complete(correlator, held_by, begin),
    )
