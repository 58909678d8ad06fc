"""ZT104, ZT105, ZT106: who killed what, by the OOM killer, a cgroup, a process."""

from __future__ import annotations

from collections.abc import Iterator

from tracer.correlate import wording
from tracer.correlate.correlator import Correlator
from tracer.correlate.findings.make import is_complete, make_finding
from tracer.correlate.state import ProcessState
from tracer.model.identity import Actor
from tracer.model.report import Finding
from tracer.model.signals import signal_name
from tracer.model.verdicts import Cause


def find_kills(correlator: Correlator) -> Iterator[Finding]:
    """One finding for each cause and sender."""
    groups: dict[tuple[Cause, int, int, str], list[ProcessState]] = {}
    for state in correlator.table:
        fatal = state.fatal_signal
        if fatal is None or state.cause is None:
            continue
        actor = fatal.event.actor
        pid = actor.host_pid if state.cause in (Cause.KILL, Cause.RUNTIME_KILL) else 0
        key = (state.cause, fatal.event.signo, pid, actor.comm)
        groups.setdefault(key, []).append(state)
    for (cause, signo, _, _), victims in groups.items():
        victims.sort(key=lambda state: state.key)
        fatal = victims[0].fatal_signal
        if fatal is None:
            continue
        actor = fatal.event.actor
        complete = is_complete(correlator, victims, fatal.event.boot_ns)
        if cause is Cause.OOM:
            yield _oom(victims, actor, complete)
        elif cause is Cause.CGROUP_KILL:
            yield _cgroup(victims, actor, complete)
        elif cause in (Cause.KILL, Cause.RUNTIME_KILL):
            yield _process(victims, actor, signal_name(signo), cause, complete)


def _oom(victims: list[ProcessState], actor: Actor, complete: bool) -> Finding:
    return make_finding(
        "ZT104",
        title=f"the OOM killer killed {wording.name_counts(victims)}",
        detail=(
            f"{actor.comm} (host pid {actor.host_pid}) asked for memory when the limit was reached; the"
            f" kernel chose {wording.enumerate_all([wording.named(v) for v in victims[:3]])}."
        ),
        advice=(
            "Raise the memory limit or lower what the program uses. memory.events of the cgroup counts"
            " oom_kill for the level whose limit it was."
        ),
        states=victims,
        complete=complete,
    )


def _cgroup(victims: list[ProcessState], actor: Actor, complete: bool) -> Finding:
    return make_finding(
        "ZT105",
        title=f"{wording.processes(len(victims))} killed through cgroup.kill",
        detail=(
            f"{wording.actor_named(actor)} wrote to cgroup.kill; the kernel killed"
            f" {wording.name_counts(victims)}."
        ),
        advice="A runtime without a private PID namespace ends containers so; systemd does it for units.",
        states=victims,
        complete=complete,
    )


def _process(
    victims: list[ProcessState], actor: Actor, name: str, cause: Cause, complete: bool
) -> Finding:
    chain = f" ({wording.sender(actor)})" if actor.chain else ""
    if cause is Cause.RUNTIME_KILL:
        detail = (
            f"{wording.actor_named(actor)} sent {name} to {wording.name_counts(victims)} with no stop"
            f" signal before{chain}: a forced kill, not a stop."
        )
        advice = (
            "The kernel names the runtime, not who asked it: look for `docker kill`, `docker rm -f`, a"
            " liveness probe or an eviction at this time in the engine's events."
        )
    else:
        where = "inside" if actor.ns_pid else "outside"
        detail = (
            f"{wording.actor_named(actor)}, {where} the namespace, sent {name} to"
            f" {wording.enumerate_all([wording.named(v) for v in victims[:3]])}"
            f"{f' and {len(victims) - 3} more' if len(victims) > 3 else ''}{chain}."
        )
        advice = f"Ask why {actor.comm} sends {name}; its ancestors show what started it."
    return make_finding(
        "ZT106",
        title=f"{actor.comm} killed {wording.name_counts(victims)} with {name}",
        detail=detail,
        advice=advice,
        states=victims,
        complete=complete,
    )
