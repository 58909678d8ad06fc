"""Stops as they truly were: when each began and ended, and why a signal in one was sent."""

from __future__ import annotations

from tests.model.process import KILL, TERM, Ns, Proc, Sig, Stop
from tracer.model.signals import SignalResult


def note_survival(stop: Stop, now: int) -> None:
    """End a stop that its init has survived for a minute."""
    if stop.end is None and stop.asked and not stop.killed and stop.init_exit is None:
        if now - stop.last_asked >= 60_000_000_000:
            stop.survived = True
            stop.end = stop.last_asked + 60_000_000_000


def note_signal(
    procs: list[Proc],
    now: int,
    target: Proc,
    signo: int,
    sig: Sig,
    result: SignalResult,
    was_dying: bool,
) -> None:
    """Begin a stop, or move it on, and put down why the signal was sent."""
    by_user = sig.why == "user"
    if target.is_init and target.ns.level > 0 and not was_dying:
        ns = target.ns
        outside = sig.sender is not None and not sig.sender.is_in(ns)
        stop = ns.stops[-1] if ns.stops and ns.stops[-1].end is None else None
        asks = signo == TERM and by_user and outside
        kills = signo == KILL and result is not SignalResult.IGNORED
        if asks or kills:
            if stop is None:
                trigger = "stop_signal" if asks else (
                    "cgroup_kill" if sig.why == "cgroup_kill" else
                    "oom" if sig.why == "oom" else "sigkill"
                )  # fmt: skip
                stop = begin_stop(procs, now, ns, trigger)
            if asks and not stop.killed:
                stop.asked, stop.last_asked = True, now
            if kills and not stop.killed:
                stop.killed = True
                stop.escalated = stop.asked and (by_user or sig.why == "cgroup_kill")
    sig.why = _why(target, sig, by_user)
    if signo == TERM:
        for ns in target.ns.chain():
            stop = ns.stops[-1] if ns.stops and ns.stops[-1].end is None else None
            if stop is not None and stop.asked and target.had_stop is not stop:
                target.had_stop = stop


def begin_stop(procs: list[Proc], now: int, ns: Ns, trigger: str) -> Stop:
    """A stop of a namespace, of all who are in it beside its init."""
    stop = Stop(now, trigger, {
        proc for proc in procs
        if proc.is_in(ns) and proc is not ns.init and proc.state != "released"
    })  # fmt: skip
    ns.stops.append(stop)
    return stop


def _asked(target: Proc) -> list[Ns]:
    return [
        ns for ns in target.ns.chain()
        if ns.stops and ns.stops[-1].end is None and ns.stops[-1].asked
    ]  # fmt: skip


def _why(target: Proc, sig: Sig, by_user: bool) -> str:
    if sig.why == "cgroup_kill" and target.is_init and target.ns in _asked(target):
        return "grace_expired"
    if not by_user or sig.sender is None:
        return sig.why
    sender, asked = sig.sender, _asked(target)
    is_runtime = sender.comm in ("runc", "containerd-shim") and not sender.is_in(target.ns)
    if sender is target:
        again = sig.signo == TERM and any(ns.stops[-1] is target.had_stop for ns in asked)
        return "stop_signal" if again else "self"
    if target.is_init and target.ns.level > 0:
        if sig.signo == TERM and not sender.is_in(target.ns):
            return "stop_signal"
        if sig.signo == KILL and target.ns in asked:
            return "grace_expired"
    if sig.signo == KILL and is_runtime:
        return "grace_expired" if asked else "runtime_kill"
    if sig.signo == TERM:
        for ns in asked:
            inside = sender.is_in(ns) and id(ns) not in sender.put_in
            if inside or (sender.comm in ("runc", "containerd-shim") and not sender.is_in(ns)):
                return "stop_signal"
    return "kill"
