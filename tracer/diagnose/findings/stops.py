"""ZT101, ZT103: a stop signal that did not end what it was sent to end."""

from __future__ import annotations

from collections.abc import Iterator

from tracer.correlate.causes import is_dropped
from tracer.correlate.correlator import Correlator
from tracer.correlate.process import ProcessState
from tracer.correlate.scope import Scope
from tracer.correlate.stops import StopState
from tracer.diagnose.advice import advise_end, advise_without_handler
from tracer.diagnose.findings.forwarding import find_forwarding, unforwarded_victims
from tracer.diagnose.findings.make import is_complete, make_finding
from tracer.diagnose.findings.subject import subject_of
from tracer.diagnose.hold_up import holds_of
from tracer.diagnose.hold_words import say_hold, say_what_it_did
from tracer.model.claims.hold import Hold, HoldReason
from tracer.model.report import Finding
from tracer.model.signals import signal_name
from tracer.wording import names as wording

__all__ = ["find_in_stops", "find_in_stops_of", "unforwarded_victims"]

_MOST_HOLDS = 3


def find_in_stops(correlator: Correlator) -> Iterator[Finding]:
    """The findings of every stop."""
    for scope in correlator.scopes:
        yield from find_in_stops_of(correlator, scope)


def find_in_stops_of(correlator: Correlator, scope: Scope) -> Iterator[Finding]:
    """The findings of one scope's stops."""
    init = correlator.table.get(scope.init)
    for stop in scope.stops if init is not None else ():
        if init is not None:
            yield from _dropped(correlator, scope, stop, init)
            yield from find_forwarding(correlator, scope, stop, init)
            yield from _grace_expired(correlator, scope, stop, init)


def _dropped(
    correlator: Correlator, scope: Scope, stop: StopState, init: ProcessState
) -> Iterator[Finding]:
    event = stop.stop_signal
    if event is None or not is_dropped(event):
        return
    if stop.is_assumed and not stop.escalated:
        # It may not have been meant to stop it.
        return
    name = signal_name(stop.stop_signo)
    yield make_finding(
        "ZT101",
        title=f"PID 1 of {scope.label} has no {name} handler",
        detail=(
            f"{wording.sender(event.actor)} sent {name} to {wording.named(init)}, the PID 1 of its"
            " namespace, which has no handler for it. The default action does not apply to PID 1, so"
            " the kernel dropped the signal."
        ),
        advice=advise_without_handler(subject_of(correlator, init, is_pid1=True), stop.stop_signo),
        states=[init],
        complete=is_complete(correlator, [init], stop.begin_ns, stop.end_ns),
    )


def _grace_expired(
    correlator: Correlator, scope: Scope, stop: StopState, init: ProcessState
) -> Iterator[Finding]:
    event, kill = stop.stop_signal, stop.kill
    if event is None or kill is None or not stop.escalated:
        return
    name = signal_name(stop.stop_signo)
    waited = wording.seconds(kill.boot_ns - event.boot_ns)
    where = "" if scope.is_shared or kill.actor.ns_pid == 0 else " (inside the container)"
    what = "killed its whole cgroup with" if stop.kill_by_cgroup else "sent SIGKILL to"
    holds = holds_of(correlator, scope, stop)
    holders = [
        state
        for hold in holds
        if (state := correlator.table.get(hold.holder)) is not None and state is not init
    ]
    yield make_finding(
        "ZT103",
        title=f"{scope.label} was killed {waited} after {name}{_say_who(correlator, holds, stop)}",
        detail=(
            f"{waited} after {name}, {wording.sender(kill.actor)}{where} {what}"
            f" {wording.named(init)}: {_say_holds(correlator, holds, stop)}."
        ),
        advice=_advice(correlator, holds, stop, init),
        states=[init, *holders],
        complete=is_complete(correlator, [init, *holders], stop.begin_ns, stop.end_ns),
    )


def _say_who(correlator: Correlator, holds: tuple[Hold, ...], stop: StopState) -> str:
    if not holds or holds[0].reason is HoldReason.UNKNOWN:
        return ""
    comm = correlator.table.comm_of(holds[0].holder) or "a process"
    more = f", and {len(holds) - 1} more" if len(holds) > 1 else ""
    return f": {comm} {say_what_it_did(holds[0], stop.stop_signo)}{more}"


def _say_holds(correlator: Correlator, holds: tuple[Hold, ...], stop: StopState) -> str:
    """Say of each who held it up why; of many the first few."""
    if not holds:
        return "why it had not exited is unknown"
    alike: dict[tuple[object, ...], list[Hold]] = {}
    for hold in holds:
        thread = hold.thread and (hold.thread.syscall, hold.thread.wchan)
        alike.setdefault((hold.waiters, hold.reason, hold.sender, thread), []).append(hold)
    parts = []
    for same in list(alike.values())[:_MOST_HOLDS]:
        also = f" (and {len(same) - 1} more like it)" if len(same) > 1 else ""
        parts.append(say_hold(correlator, same[0], stop.stop_signo) + also)
    more = len(alike) - len(parts)
    return "; ".join(parts) + (f"; and {more} more" if more > 0 else "")


def _advice(
    correlator: Correlator, holds: tuple[Hold, ...], stop: StopState, init: ProcessState
) -> str:
    advice: dict[str, None] = {}
    for hold in holds[:_MOST_HOLDS]:
        holder = correlator.table.get(hold.holder) or init
        waiter = correlator.table.get(hold.waiters[-1]) if hold.waiters else None
        advice[
            advise_end(
                hold,
                subject_of(correlator, holder, is_pid1=holder is init),
                subject_of(correlator, waiter, is_pid1=waiter is init)
                if waiter is not None
                else None,
                stop.stop_signo,
            )
        ] = None
    if not advice:
        unknown = Hold(holder=init.key, reason=HoldReason.UNKNOWN)
        subject = subject_of(correlator, init, is_pid1=True)
        return advise_end(unknown, subject, None, stop.stop_signo)
    return " ".join(advice)
