"""ZT104, ZT105, ZT106: who killed what, by the OOM killer, a cgroup, a process."""

from __future__ import annotations

from collections.abc import Iterator

from tracer.correlate import causes, wording
from tracer.correlate.correlator import Correlator
from tracer.correlate.evidence import say_command, say_whose_memory_limit
from tracer.correlate.findings.make import is_complete, make_finding
from tracer.correlate.state import ProcessState
from tracer.model.events import SignalEvent
from tracer.model.identity import Actor
from tracer.model.report import Finding
from tracer.model.signals import SIGKILL, signal_name
from tracer.model.verdicts import Cause


def find_kills(correlator: Correlator) -> Iterator[Finding]:
    """One finding for each cause, signal and sender."""
    groups: dict[tuple[object, ...], list[ProcessState]] = {}
    for state in correlator.table:
        fatal = state.fatal_signal
        if fatal is None or state.cause is None or _is_translation(correlator, state, fatal.event):
            continue
        actor = fatal.event.actor
        container = correlator.scopes.container_around(state)
        where = container.id if container is not None else None
        pid = actor.host_pid if state.cause in (Cause.KILL, Cause.RUNTIME_KILL) else 0
        key = (state.cause, fatal.event.signo, pid, actor.comm, where)
        groups.setdefault(key, []).append(state)
    for victims in groups.values():
        victims.sort(key=lambda state: state.key)
        yield from _finding(correlator, victims)


def _is_translation(correlator: Correlator, state: ProcessState, event: SignalEvent) -> bool:
    """Whether a forwarder passed the stop on by another signal (TERM in, QUIT out)."""
    if event.signo == SIGKILL or not causes.is_sent_by_user(event):
        return False
    return any(
        causes.is_passing_on(event.actor, scope, correlator.table)
        for scope in state.scopes
        for stop in scope.stops
        if stop.stop_signal is not None
        and stop.begin_ns <= event.boot_ns
        and (stop.end_ns is None or event.boot_ns <= stop.end_ns)
    )


def _finding(correlator: Correlator, victims: list[ProcessState]) -> Iterator[Finding]:
    fatal, cause = victims[0].fatal_signal, victims[0].cause
    if fatal is None:
        return
    ends_ns = [victim.exit_ns for victim in victims if victim.exit_ns is not None]
    until_ns = max(ends_ns) if len(ends_ns) == len(victims) else None
    complete = is_complete(correlator, victims, _first_of(victims), until_ns)
    if cause is Cause.OOM:
        yield _oom(correlator, victims, fatal.event.actor, complete)
    elif cause is Cause.CGROUP_KILL:
        yield _cgroup(correlator, victims, fatal.event.actor, complete)
    elif cause is Cause.KILL:
        yield _process(correlator, victims, fatal.event, complete)
    elif cause is Cause.RUNTIME_KILL:
        yield _runtime(victims, fatal.event, complete)


def _first_of(victims: list[ProcessState]) -> int:
    return min(one.fatal_signal.event.boot_ns for one in victims if one.fatal_signal is not None)


def _oom(
    correlator: Correlator, victims: list[ProcessState], actor: Actor, complete: bool
) -> Finding:
    container = correlator.scopes.container_around(victims[0])
    whose = say_whose_memory_limit(correlator, container.id if container is not None else None)
    by_itself = len(victims) == 1 and actor.key == victims[0].key
    wanted = "It" if by_itself else f"{actor.comm} (host pid {actor.host_pid})"
    return make_finding(
        "ZT104",
        title=f"the OOM killer killed {wording.name_counts(victims)}",
        detail=(
            f"{wanted} asked for memory when there was none left within the limit; the kernel chose"
            f" {wording.name_some(victims)}.{whose}"
        ),
        advice=(
            "Raise the memory limit (`docker run --memory`, resources.limits.memory in"
            f" Kubernetes) or find out what {victims[0].comm} needs it for. The exit code 137 alone"
            " does not say OOM;"
            " the oom_kill count in the cgroup's memory.events does."
        ),
        states=victims,
        complete=complete,
    )


def _cgroup(
    correlator: Correlator, victims: list[ProcessState], actor: Actor, complete: bool
) -> Finding:
    return make_finding(
        "ZT105",
        title=f"{wording.name_counts(victims)} killed through cgroup.kill",
        detail=(
            f"{actor.comm} (host pid {actor.host_pid}) wrote to cgroup.kill, and the kernel killed"
            f" every process of that cgroup: {wording.name_some(victims)}."
            f"{say_command(correlator, actor.key)}"
        ),
        advice=(
            "Runtimes end containers without a PID namespace of their own this way, systemd its"
            f" units. If it was neither, ask what started {actor.comm}."
        ),
        states=victims,
        complete=complete,
    )


def _process(
    correlator: Correlator, victims: list[ProcessState], event: SignalEvent, complete: bool
) -> Finding:
    actor, name = event.actor, signal_name(event.signo)
    scope = next(iter(victims[0].scopes), None)
    where = ""
    if scope is not None:
        side = "from outside" if causes.is_from_outside(event, scope) else "inside"
        where = f" {side} {scope.label}"
    chain = f" It and its ancestors: {wording.sender(actor)}." if actor.chain else ""
    return make_finding(
        "ZT106",
        title=f"{actor.comm} killed {wording.name_counts(victims)} with {name}",
        detail=(
            f"{wording.actor_named(actor, where)} sent {name} to {wording.name_some(victims)}."
            f"{chain}{say_command(correlator, actor.key)}"
        ),
        advice=f"Ask what made {actor.comm} send {name}; its ancestors show what started it.",
        states=victims,
        complete=complete,
    )


def _runtime(victims: list[ProcessState], event: SignalEvent, complete: bool) -> Finding:
    actor, name = event.actor, signal_name(event.signo)
    before = "with no stop signal before"
    stops = [
        stop
        for scope in victims[0].led
        for stop in scope.stops
        if stop.kill is event and stop.after_survived_ns is not None
    ]
    if stops and stops[0].after_survived_ns is not None:
        ago = wording.seconds(event.boot_ns - stops[0].after_survived_ns)
        before = f"{ago} after a stop signal that it had survived"
    return make_finding(
        "ZT106",
        title=f"{actor.comm} killed {wording.name_counts(victims)} with {name}",
        detail=(
            f"{wording.actor_named(actor)} sent {name} to {wording.name_some(victims)}, {before}: a"
            f" forced kill, no stop. It and its ancestors: {wording.sender(actor)}."
        ),
        advice=(
            "The kernel names the runtime, not who asked it: look for `docker kill`, `docker rm"
            " -f`, a"
            " failed liveness probe or an eviction at this time in the engine's events."
        ),
        states=victims,
        complete=complete,
    )
