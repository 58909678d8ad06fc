"""ZT104, ZT105, ZT106: who killed what, by the OOM killer, a cgroup, a process."""

from __future__ import annotations

from collections.abc import Iterator

from tracer.correlate import causes, descent
from tracer.correlate.correlator import Correlator
from tracer.correlate.process import ProcessState
from tracer.diagnose.deaths import claim_death
from tracer.diagnose.evidence import say_command, say_whose_memory_limit
from tracer.diagnose.findings.killers import by_process, how_it_came, is_of_a_helper
from tracer.diagnose.findings.make import is_complete, make_finding
from tracer.diagnose.findings.runtimes import by_runtime
from tracer.model.claims.death import DeathClaim
from tracer.model.events import SignalEvent
from tracer.model.identity import Actor
from tracer.model.report import Finding
from tracer.model.signals import SIGKILL
from tracer.model.verdicts import Cause
from tracer.wording import names as wording


def find_kills(correlator: Correlator) -> Iterator[Finding]:
    """One finding for each cause, signal, sender, container and cgroup.

    What a finding says of several deaths is so of each of them.
    """
    groups: dict[tuple[object, ...], list[tuple[ProcessState, DeathClaim]]] = {}
    for state in correlator.table:
        fatal = state.fatal_signal
        if fatal is None or state.cause is None or _is_translation(correlator, state, fatal.event):
            continue
        claim = claim_death(correlator, state)
        if claim is None or is_of_a_helper(state, claim):
            continue
        actor = fatal.event.actor
        container = correlator.scopes.container_around(state)
        where = container.id if container is not None else None
        is_of_a_cgroup = state.cause in (Cause.OOM, Cause.CGROUP_KILL)
        key = (
            state.cause,
            fatal.event.signo,
            # Several may ask for the memory that a cgroup has no more of.
            None if state.cause is Cause.OOM else (actor.key, actor.comm),
            where,
            state.snapshot.cgroup_id if is_of_a_cgroup else None,
            *how_it_came(claim),
        )
        groups.setdefault(key, []).append((state, claim))
    for group in groups.values():
        group.sort(key=lambda pair: pair[0].key)
        yield from _finding(correlator, [state for state, _ in group], [one for _, one in group])


def _is_translation(correlator: Correlator, state: ProcessState, event: SignalEvent) -> bool:
    """Whether a forwarder passed the stop on by another signal (TERM in, QUIT out)."""
    if event.signo == SIGKILL or not causes.is_sent_by_user(event):
        return False
    return any(
        descent.is_passing_on(event.actor, scope, correlator.table)
        for scope in state.scopes
        for stop in scope.stops
        if stop.stop_signal is not None
        and stop.begin_ns <= event.boot_ns
        and (stop.end_ns is None or event.boot_ns <= stop.end_ns)
    )


def _finding(
    correlator: Correlator, victims: list[ProcessState], claims: list[DeathClaim]
) -> Iterator[Finding]:
    fatal, cause = victims[0].fatal_signal, victims[0].cause
    if fatal is None:
        return
    ends_ns = [victim.exit_ns for victim in victims if victim.exit_ns is not None]
    until_ns = max(ends_ns) if len(ends_ns) == len(victims) else None
    complete = is_complete(correlator, victims, _first_of(victims), until_ns)
    if cause is Cause.OOM:
        yield _oom(correlator, victims, complete)
    elif cause is Cause.CGROUP_KILL:
        yield _cgroup(correlator, victims, fatal.event.actor, complete)
    elif cause is Cause.KILL:
        yield by_process(correlator, victims, claims, fatal.event, complete)
    elif cause is Cause.RUNTIME_KILL:
        yield by_runtime(correlator, victims, claims, fatal.event, complete)


def _first_of(victims: list[ProcessState]) -> int:
    return min(one.fatal_signal.event.boot_ns for one in victims if one.fatal_signal is not None)


def _say_who_asked(victims: list[ProcessState]) -> str:
    """Who wanted the memory for which they were killed."""
    askers = {
        one.fatal_signal.event.actor.key: one.fatal_signal.event.actor
        for one in victims
        if one.fatal_signal is not None
    }
    if all(
        one.fatal_signal is not None and one.fatal_signal.event.actor.key == one.key
        for one in victims
    ):
        return "The victim" if wording.number(victims) == 1 else "Each victim"
    if len(askers) > 1:
        return wording.processes(len(askers))
    (actor,) = askers.values()
    return f"{actor.comm} (host pid {actor.host_pid})"


def _oom(correlator: Correlator, victims: list[ProcessState], complete: bool) -> Finding:
    container = correlator.scopes.container_around(victims[0])
    whose = say_whose_memory_limit(correlator, container.id if container is not None else None)
    wanted = _say_who_asked(victims)
    return make_finding(
        "ZT104",
        title=f"the OOM killer killed {wording.name_counts(victims)}",
        detail=(
            f"{wanted} requested memory when none was left within the limit; the kernel chose"
            f" {wording.name_some(victims)}.{whose}"
        ),
        advice=(
            "Raise the memory limit (`docker run --memory`, resources.limits.memory in"
            f" Kubernetes), or find out what {victims[0].comm} needs it for. Exit code 137 alone"
            " does not prove an OOM kill;"
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
            "Runtimes stop containers that share a PID namespace this way, and systemd stops its"
            f" units this way. If it was neither, find out what started {actor.comm}."
        ),
        states=victims,
        complete=complete,
    )
