"""ZT106: what a container runtime killed with no stop signal before, and on whose wish."""

from __future__ import annotations

from tracer.correlate.correlator import Correlator
from tracer.correlate.process import ProcessState
from tracer.diagnose.evidence import command_of
from tracer.diagnose.findings.make import make_finding
from tracer.diagnose.findings.unasked import FORCED, say_before_kill
from tracer.model.claims.death import DeathClaim, Wish
from tracer.model.events import SignalEvent
from tracer.model.report import Finding
from tracer.model.signals import signal_name
from tracer.wording import names as wording

_TOGETHER_NS = 1_000_000_000

_ADVICE = {
    Wish.SHIM_EXITED: (
        "This kill was not requested: find out what ended the shim (its log, the host's OOM killer,"
        " a manual kill). containerd kills a container that has lost its shim."
    ),
    Wish.ENGINE: (
        "A client of the engine requested it (`docker kill`, `docker rm -f`, its API); the engine's"
        " log shows the request at this time."
    ),
    Wish.STOP: (
        "It did not end on its stop signal within the grace period. Trace one stop from its"
        " beginning (`zomtrace stop -c NAME`) to see what it does with the signal."
    ),
    Wish.EXEC_ENDED: (
        "The runtime killed a process that had been injected by exec: a health check that timed"
        " out, or an exec whose client gave up. Only that process is killed: start the command with"
        " `exec` and give it a shorter time limit of its own, or run an init (`docker run --init`)"
        " to take care of what it leaves behind."
    ),
    Wish.UNKNOWN: (
        "The kernel shows the runtime, not its caller. In the engine's events around this time,"
        " look for `docker kill`, `docker rm -f`, a failed liveness probe or an eviction."
    ),
}


def by_runtime(
    correlator: Correlator,
    victims: list[ProcessState],
    claims: list[DeathClaim],
    event: SignalEvent,
    complete: bool,
) -> Finding:
    """A SIGKILL of a container runtime's, with no stop signal before."""
    actor, name, wish = event.actor, signal_name(event.signo), claims[0].wish or Wish.UNKNOWN
    who = f"{wording.actor_named(actor)} sent {name} to {wording.name_some(victims)}"
    chain = f" Sender and ancestors: {wording.sender(actor)}."
    is_of_exec = wish in (Wish.EXEC_ENDED, Wish.HEALTH_CHECK)
    said, is_certain = say_before_kill(correlator, victims, event)
    before = f", {said}"
    if is_of_exec:
        before, is_certain = f": {_say_lived(claims)}", True
    elif wish is Wish.STOP:
        before, is_certain = before.removesuffix(FORCED), False
    title = f"{actor.comm} killed {wording.name_counts(victims)} with {name}"
    if wish is Wish.SHIM_EXITED:
        title += " after its shim had exited"
    elif wish is Wish.STOP:
        title += " in a stop"
    elif wish is Wish.HEALTH_CHECK:
        title += ": a health check that timed out"
    elif wish is Wish.EXEC_ENDED:
        title += ": an injected process (exec or health check)"
    if wish is Wish.COMMAND:
        advice = _advise_command(correlator, event)
    else:
        advice = _ADVICE[Wish.EXEC_ENDED if is_of_exec else wish]
    return make_finding(
        "ZT106",
        title=title,
        detail=f"{who}{before}{_say_when(claims)}.{_say_wish(wish)}{chain}",
        advice=advice,
        states=victims,
        complete=complete and is_certain,
    )


def _say_wish(wish: Wish) -> str:
    return {
        Wish.SHIM_EXITED: (
            " Its parent, the shim, had exited before that: containerd cleaned up after it."
        ),
        Wish.ENGINE: " The engine reported a request to kill it at that time.",
        Wish.STOP: (
            " The engine reported right after it that it had stopped the container: most likely the"
            " grace period of that stop had run out."
        ),
        Wish.HEALTH_CHECK: " The engine reported at that time that its health check had failed.",
    }.get(wish, "")


def _advise_command(correlator: Correlator, event: SignalEvent) -> str:
    command = command_of(correlator, event.actor.key)
    asked = f" (`{command}`)" if command else ""
    who = wording.sender(event.actor)
    return f"A command requested it{asked}: {who} shows who ran it."


def _say_lived(claims: list[DeathClaim]) -> str:
    """Say how long what was put in had run, where that is known of all."""
    lived = [one.lived_ns for one in claims if one.lived_ns is not None]
    if len(lived) != len(claims):
        return "injected (exec, health check)"
    least, most = wording.seconds(min(lived)), wording.seconds(max(lived))
    span = least if least == most else f"{least} to {most}"
    each = "" if len(claims) == 1 else "each "
    return f"{each}injected (exec, health check) {span} earlier"


def _say_when(claims: list[DeathClaim]) -> str:
    """Say over what time several were killed."""
    sent = sorted(one.sent_ns for one in claims if one.sent_ns is not None)
    if len(sent) < 2 or sent[-1] - sent[0] <= _TOGETHER_NS:
        return ""
    return f", {len(sent)} times within {wording.seconds(sent[-1] - sent[0])}"
