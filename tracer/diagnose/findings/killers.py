"""ZT106: a process that another one ended by a signal of its own accord."""

from __future__ import annotations

from tracer.correlate import causes
from tracer.correlate.correlator import Correlator
from tracer.correlate.process import ProcessState
from tracer.correlate.scope import Scope
from tracer.correlate.stops import SURVIVED_AFTER_NS
from tracer.diagnose.evidence import say_command
from tracer.diagnose.findings.make import make_finding, say_doubt
from tracer.model.claims.death import DeathClaim, EarlierSignal, Relation
from tracer.model.events import SignalEvent
from tracer.model.report import Finding
from tracer.model.signals import SIGKILL, Disposition, signal_name
from tracer.model.verdicts import Cause, ReapKind, Severity
from tracer.wording import names as wording

_SHORT_LIFE_NS = 1_000_000_000
_OWN = (Relation.PARENT, Relation.SUPERVISOR)
_RELATED = {
    Relation.PARENT: ", {whose} parent",
    Relation.SUPERVISOR: ", an ancestor of {whom}",
    Relation.SIDECAR: " in another container of the same PID namespace",
}
_DID = {
    Disposition.IGNORED: "which {it} {ignore}",
    Disposition.CAUGHT: "for which {it} {have} a handler",
    Disposition.BLOCKED: "which {it} {block}",
}
_ONE = {"it": "it", "ignore": "ignores", "have": "has", "block": "blocks"}
_MANY = {"it": "they", "ignore": "ignore", "have": "have", "block": "block"}


def is_of_a_helper(state: ProcessState, claim: DeathClaim) -> bool:
    """Whether a parent ended a helper it had just started, and waited for it.

    Probes of strace and gdb, GNU parallel, pools and timeouts end theirs so.
    """
    return (
        claim.cause is Cause.KILL
        and claim.relation is Relation.PARENT
        and not claim.earlier
        and claim.lived_ns is not None
        and claim.lived_ns < _SHORT_LIFE_NS
        and claim.sender is not None
        and state.reap is not None
        and state.reap.kind is ReapKind.PARENT
        and state.reap.reaper == claim.sender.key
    )


def how_it_came(claim: DeathClaim) -> tuple[object, ...]:
    """What must be equal in all deaths that one finding reports together."""
    asked = claim.earlier[-1] if claim.earlier else None
    return (
        claim.relation,
        claim.wish,
        None if asked is None else (asked.signo, asked.disposition, asked.was_dropped),
    )


def by_process(
    correlator: Correlator,
    victims: list[ProcessState],
    claims: list[DeathClaim],
    event: SignalEvent,
    complete: bool,
) -> Finding:
    """A signal that another process sent, no runtime."""
    actor, name, claim = event.actor, signal_name(event.signo), claims[0]
    scope = next(iter(victims[0].scopes), None)
    is_one = wording.number(victims) == 1
    where = _RELATED.get(claim.relation, "").format(
        whose="its" if is_one else "their", whom="it" if is_one else "them"
    )
    if not where and scope is not None:
        side = "from outside" if causes.is_from_outside(event, scope) else "inside"
        where = f" {side} {scope.label}"
    chain = f" Sender and ancestors: {wording.sender(actor)}." if actor.chain else ""
    is_own = claim.relation in _OWN
    oom_killer = claim.sender.oom_killer if claim.sender is not None else None
    if oom_killer is not None:
        advice = (
            f"{oom_killer} kills processes before the kernel's OOM killer has to: the host ran short"
            f" of memory. Limit memory use, or add memory; the log of {oom_killer} says how much was"
            " left."
        )
    elif is_own:
        advice = (
            f"Nothing needs to change if {actor.comm} is meant to terminate what it started."
            " Otherwise see its own configuration (a timeout, a stop command) for when it does."
        )
    else:
        advice = f"Find out why {actor.comm} sent {name}; its ancestors show what started it."
    by_whom = f" {actor.comm} is a user-space OOM killer." if oom_killer is not None else ""
    return make_finding(
        "ZT106",
        title=_title(victims, claim, name, actor.comm, oom_killer),
        detail=(
            f"{wording.actor_named(actor, where)}{',' if is_own else ''} sent {name} to"
            f" {wording.name_some(victims)}{_say_after(claims, is_one)}.{by_whom}{chain}"
            f"{say_command(correlator, actor.key)}"
        ),
        advice=advice,
        states=victims,
        complete=complete,
        doubt=_doubt_a_translation(correlator, event, scope),
        severity=Severity.INFO if is_own else None,
    )


def _title(
    victims: list[ProcessState], claim: DeathClaim, name: str, sender: str, oom_killer: str | None
) -> str:
    whom = wording.name_counts(victims)
    if oom_killer is not None:
        return f"{oom_killer}, a user-space OOM killer, killed {whom} with {name}"
    if claim.relation is Relation.PARENT:
        own = "its own child" if wording.number(victims) == 1 else "its own children"
        return f"{sender} killed {own} {whom} with {name}"
    return f"{sender} killed {whom} with {name}"


def _say_after(claims: list[DeathClaim], is_one: bool) -> str:
    """Say what the sender had sent before, and what became of that."""
    asked: EarlierSignal | None = claims[0].earlier[-1] if claims[0].earlier else None
    if asked is None or claims[0].sent_ns is None:
        return ""
    after_ns = [
        one.sent_ns - one.earlier[-1].boot_ns
        for one in claims
        if one.sent_ns is not None and one.earlier
    ]
    least, most = wording.seconds(min(after_ns)), wording.seconds(max(after_ns))
    span = least if least == most else f"{least} to {most}"
    if asked.was_dropped:
        did = "which the kernel dropped (PID 1 without a handler)"
    else:
        did = _DID.get(asked.disposition, "").format(**(_ONE if is_one else _MANY))
    return f" {span} after {signal_name(asked.signo)}{f', {did}' if did else ''}"


def _doubt_a_translation(
    correlator: Correlator, event: SignalEvent, scope: Scope | None
) -> str | None:
    """Say that a forwarder may have passed on a stop signal that was lost."""
    if event.signo == SIGKILL or scope is None or causes.is_from_outside(event, scope):
        return None
    lost = correlator.losses.kinds_between(
        event.boot_ns - SURVIVED_AFTER_NS, event.boot_ns, ("signal", "fork")
    )
    return say_doubt(lost, "whether this signal forwarded a stop signal")
