"""On whose wish a container runtime killed, by the facts in hand; the kernel names it alone."""

from __future__ import annotations

from collections.abc import Iterator

from tracer.correlate.correlator import Correlator
from tracer.correlate.process import ProcessState
from tracer.model.claims.claim import Certainty, Evidence
from tracer.model.claims.death import Wish
from tracer.model.events import ObservationEvent, SignalEvent
from tracer.model.signals import signal_name

_CLIENTS = frozenset({"podman", "nerdctl", "ctr", "crictl", "buildah", "lxc-stop"})
"""Commands of people and scripts that kill without a daemon's help."""
_SHIM, _CONTAINERD = "containerd-shim", "containerd"
_AROUND_NS = 5_000_000_000
"""So far apart an engine's own time of an event and the kernel's may be."""

Whose = tuple[Wish, Certainty, tuple[Evidence, ...]]


def whose_wish(correlator: Correlator, victim: ProcessState, event: SignalEvent) -> Whose:
    """Say on whose wish a runtime sent SIGKILL.

    Args:
        correlator: Knows the engine's events.
        victim: Who was killed.
        event: The signal.

    Returns:
        Whose wish, how certain that is, and what it rests on.
    """
    actor = event.actor
    if _lost_its_shim(correlator, victim, event):
        seen = Evidence("signal", event.boot_ns, victim.key, "its parent had changed")
        return Wish.SHIM_EXITED, Certainty.SEEN, (seen,)
    if any(name in _CLIENTS for name in (actor.comm, *actor.chain)):
        return Wish.COMMAND, Certainty.SEEN, (Evidence("signal", event.boot_ns, victim.key),)
    if victim.is_injected:
        failed = list(_engine_events(correlator, victim, event, "health_status"))
        wish = Wish.HEALTH_CHECK if failed else Wish.EXEC_ENDED
        return wish, Certainty.INFERRED, tuple(map(_evidence, failed))
    stopped = stops_reported(correlator, victim, event)
    if stopped:
        return Wish.STOP, Certainty.INFERRED, tuple(map(_evidence, stopped))
    asked = [
        reported
        for reported in _engine_events(correlator, victim, event, "kill")
        if reported.values.get("signal") in (None, signal_name(event.signo))
    ]
    if asked:
        return Wish.ENGINE, Certainty.SEEN, tuple(map(_evidence, asked))
    return Wish.UNKNOWN, Certainty.UNKNOWN, ()


def stops_reported(
    correlator: Correlator, victim: ProcessState, kill: SignalEvent
) -> list[ObservationEvent]:
    """What an engine reported of a stop that a SIGKILL was the end of.

    It reports one behind the end of what it has stopped, not of what it was asked to kill.
    """
    return [
        reported
        for reported in _engine_events(correlator, victim, kill, "stop")
        if reported.boot_ns >= kill.boot_ns
    ]


def _lost_its_shim(correlator: Correlator, victim: ProcessState, event: SignalEvent) -> bool:
    """Whether the init's parent, its shim, was gone before the kill.

    containerd then runs ``containerd-shim delete``, and that ``runc delete --force``.
    An init that was seen from its birth was runc's child first, and is its shim's then.
    """
    former, now = victim.original_parent, event.process.parent_key
    if not victim.led or former is None or now is None or former == now:
        return False
    was_shims = correlator.table.comm_of(former) == _SHIM
    is_cleanup = event.actor.chain[:2] == (_SHIM, _CONTAINERD)
    return event.process.parent_comm != _SHIM and (was_shims or is_cleanup)


def _engine_events(
    correlator: Correlator, victim: ProcessState, event: SignalEvent, action: str
) -> Iterator[ObservationEvent]:
    container = correlator.scopes.container_around(victim)
    if container is None:
        return
    for reported in correlator.observations:
        if (
            reported.source == "docker"
            and reported.values.get("action") == action
            and reported.values.get("container_id") == container.id
            and abs(reported.boot_ns - event.boot_ns) <= _AROUND_NS
        ):
            yield reported


def _evidence(reported: ObservationEvent) -> Evidence:
    return Evidence(
        "observation", reported.boot_ns, None, f"docker: {reported.values.get('action')}"
    )
