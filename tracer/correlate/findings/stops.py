"""ZT101, ZT102, ZT103: what went wrong between a stop signal and the end."""

from __future__ import annotations

from collections.abc import Iterator

from tracer.correlate import causes, wording
from tracer.correlate.correlator import Correlator
from tracer.correlate.evidence import say_why_deaf
from tracer.correlate.findings.make import is_complete, make_finding
from tracer.correlate.scopes import Scope
from tracer.correlate.state import ProcessState
from tracer.correlate.stops import StopState
from tracer.model.events import SignalEvent
from tracer.model.identity import ProcessKey
from tracer.model.report import Finding
from tracer.model.signals import SIGKILL, Disposition, SignalResult, signal_name
from tracer.model.verdicts import Cause

_SHELLS = frozenset({"sh", "bash", "dash", "ash", "busybox", "ksh", "mksh", "zsh"})
_INITS = frozenset({"tini", "docker-init", "dumb-init", "catatonit"})


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


def is_dropped(event: SignalEvent) -> bool:
    """Whether the kernel dropped a signal because init has no handler.

    Source: sig_task_ignored(): SIGNAL_UNKILLABLE and SIG_DFL.
    """
    return (
        event.result is SignalResult.IGNORED
        and event.disposition is Disposition.DEFAULT
        and event.target_unkillable
        and not event.target_group_exit
    )


def _short(name: str) -> str:
    return name.removeprefix("SIG")


def _dropped(
    correlator: Correlator, scope: Scope, stop: StopState, init: ProcessState
) -> Iterator[Finding]:
    event = stop.stop_signal
    if event is None or not is_dropped(event):
        return
    name = signal_name(stop.stop_signo)
    if init.comm in _SHELLS:
        mend = (
            f'In the script, `trap \'kill -{_short(name)} "$child"; wait "$child"\''
            f" {_short(name)}`;"
            " or put an init in front (`docker run --init`, tini), with which the default action"
            " applies again."
        )
    else:
        mend = (
            f"Put an init in front (`docker run --init`, tini): then {init.comm} is not PID 1 any"
            f" more, and the default action applies. Or install a {name} handler in {init.comm}."
            " If it ends on another signal, say so with STOPSIGNAL."
        )
    yield make_finding(
        "ZT101",
        title=f"PID 1 of {scope.label} has no {name} handler",
        detail=(
            f"{wording.sender(event.actor)} sent {name} to {wording.named(init)}, the PID 1 of its"
            " namespace, which has no handler for it. For PID 1 there is no default action: the"
            " kernel dropped the signal."
        ),
        advice=mend,
        states=[init],
        complete=is_complete(correlator, [init], stop.begin_ns, stop.end_ns),
    )


def unforwarded_victims(
    correlator: Correlator, scope: Scope, stop: StopState
) -> list[ProcessState]:
    """Members that the teardown killed although nobody had told them to stop.

    A member that a process of the same container sent any signal since the stop
    began was told: a forwarder may translate. What docker exec put in is nobody's
    to tell.
    """
    victims = []
    for key in stop.members:
        state = correlator.table.get(key)
        if state is None or state.cause is not Cause.PIDNS_TEARDOWN:
            continue
        was_told = state.had_stop_signal_since(stop.begin_ns) or (
            state.told_ns is not None and state.told_ns >= stop.begin_ns
        )
        if not was_told and not causes.is_put_in(state, scope, correlator.table):
            victims.append(state)
    return sorted(victims, key=lambda state: state.key)


def _blamed_for(
    correlator: Correlator, stop: StopState, victim: ProcessState, init: ProcessState
) -> ProcessState:
    """The nearest ancestor that had the stop signal and did not pass it on."""
    for ancestor in correlator.table.ancestors(victim):
        if ancestor.had_stop_signal_since(stop.begin_ns):
            return ancestor
    return init


def _not_forwarded(
    correlator: Correlator, scope: Scope, stop: StopState, init: ProcessState
) -> Iterator[Finding]:
    event = stop.stop_signal
    if event is None or stop.escalated or stop.init_exit_ns is None or is_dropped(event):
        return
    if event.signo == SIGKILL or init.cause in (Cause.OOM, Cause.PIDNS_TEARDOWN):
        return
    by_blamed: dict[ProcessKey, tuple[ProcessState, list[ProcessState]]] = {}
    for victim in unforwarded_victims(correlator, scope, stop):
        blamed = _blamed_for(correlator, stop, victim, init)
        by_blamed.setdefault(blamed.key, (blamed, []))[1].append(victim)
    name = signal_name(stop.stop_signo)
    after = wording.seconds(stop.init_exit_ns - stop.begin_ns)
    for blamed, victims in by_blamed.values():
        who = "PID 1" if blamed is init else wording.named(blamed)
        if blamed is init:
            story = (
                f"{wording.named(init)} got {name}, did not pass it on to"
                f" {wording.name_counts(victims)}, and {wording.ended(init.status)} {after} later."
                " The kernel then killed what was left of the namespace with SIGKILL:"
            )
        else:
            fate = f" and {wording.ended(blamed.status)}" if blamed.status is not None else ""
            story = (
                f"{wording.named(blamed)} got {name}{fate}, and did not pass it on to"
                f" {wording.name_counts(victims)}. PID 1 {wording.ended(init.status)} {after} after"
                " the stop began, and the kernel killed what was left of the namespace with"
                " SIGKILL:"
            )
        yield make_finding(
            "ZT102",
            title=f"{who} of {scope.label} did not pass {name} on",
            detail=f"{story} {wording.processes(len(victims))} had no chance to end in order.",
            advice=_forwarding_advice(blamed, init, name),
            states=[blamed, *victims],
            complete=is_complete(correlator, [blamed, *victims], stop.begin_ns, stop.end_ns),
        )


def _forwarding_advice(blamed: ProcessState, init: ProcessState, name: str) -> str:
    if blamed.comm in _SHELLS:
        return (
            f"Start the program with `exec`, so that it replaces the shell and gets {name}"
            " itself; or"
            f' pass the signal on: `trap \'kill -{_short(name)} "$child"; wait "$child"\''
            f" {_short(name)}`, with the program in the background and `wait` after it."
        )
    if blamed is not init or init.comm in _INITS:
        return (
            f"Let the init signal the whole process group (`tini -g`), or let {blamed.comm} pass"
            f" {name} on to its children and wait for them."
        )
    return (
        f"In {init.comm}: pass {name} on to the children and wait for them before exiting. Or let"
        " an init do it: `docker run --init`, or tini as the entry point (`tini -g` for whole"
        " process groups)."
    )


def _grace_expired(
    correlator: Correlator, scope: Scope, stop: StopState, init: ProcessState
) -> Iterator[Finding]:
    event, kill = stop.stop_signal, stop.kill
    if event is None or kill is None or not stop.escalated:
        return
    name = signal_name(stop.stop_signo)
    waited = wording.seconds(kill.boot_ns - event.boot_ns)
    where = "" if scope.is_shared or kill.actor.ns_pid == 0 else ", from inside,"
    what = "killed its whole cgroup with" if stop.kill_by_cgroup else "sent SIGKILL to"
    yield make_finding(
        "ZT103",
        title=f"{scope.label} was killed {waited} after {name}",
        detail=(
            f"{waited} after {name}, {wording.sender(kill.actor)}{where} {what}"
            f" {wording.named(init)}: {_why_it_lived(correlator, stop, init, event, name)}."
        ),
        advice=_grace_advice(correlator, stop, init, event, name),
        states=[init],
        complete=is_complete(correlator, [init], stop.begin_ns, stop.end_ns),
    )


def _why_it_lived(
    correlator: Correlator, stop: StopState, init: ProcessState, event: SignalEvent, name: str
) -> str:
    if is_dropped(event):
        return f"the kernel had dropped {name}, for which it has no handler"
    deaf = say_why_deaf(correlator, init.key)
    if deaf:
        return deaf
    if stop.was_init_stopped:
        return "it was stopped (SIGSTOP), and no signal but SIGKILL reaches a stopped process"
    if event.disposition is Disposition.IGNORED:
        return f"it ignores {name}"
    if event.disposition is Disposition.CAUGHT:
        held = " (a tracer, which may hold signals back, was attached to it)"
        traced = held if init.tracer_host_pid is not None else ""
        return f"its {name} handler had not ended it{traced}"
    if event.disposition is Disposition.BLOCKED:
        return (
            f"it had {name} blocked, as one that waits for it (sigwait, signalfd) does, and had not"
            " ended"
        )
    return f"it had not ended of {name}"


def _grace_advice(
    correlator: Correlator, stop: StopState, init: ProcessState, event: SignalEvent, name: str
) -> str:
    longer = (
        "`docker stop -t`, `--stop-timeout`, stop_grace_period in Compose,"
        " terminationGracePeriodSeconds in Kubernetes"
    )
    if stop.was_init_stopped or (not is_dropped(event) and say_why_deaf(correlator, init.key)):
        return f"Continue {init.comm} (SIGCONT, `docker unpause`, the tracer's detach) before it is stopped."
    if is_dropped(event) or event.disposition is Disposition.IGNORED:
        return (
            f"A longer grace does not help: {init.comm} never sees {name}. Make PID 1 end on it, or"
            " name the signal it does end on with STOPSIGNAL."
        )
    return (
        f"See what {init.comm} still does when it gets {name}. If it only needs longer for an"
        f" orderly end, raise the grace: {longer}."
    )
