"""What the correlator knows of deaths by signal, as claims."""

from __future__ import annotations

from collections.abc import Iterator

from tracer.correlate import causes
from tracer.correlate.correlator import Correlator
from tracer.correlate.process import ProcessState
from tracer.diagnose.evidence import command_of
from tracer.diagnose.wishes import whose_wish
from tracer.model.claims.claim import Certainty, Evidence, Span
from tracer.model.claims.death import (
    DeathClaim,
    DroppedClaim,
    EarlierSignal,
    Relation,
    Sender,
)
from tracer.model.events import SignalEvent
from tracer.model.identity import Actor
from tracer.model.signals import SIGKILL, Disposition
from tracer.model.verdicts import Cause

_OOM_KILLERS = ("earlyoom", "systemd-oomd", "oomd", "nohang", "low-memory-monitor")
"""Programs whose purpose is to kill before the kernel's OOM killer has to."""


def claim_death(correlator: Correlator, state: ProcessState) -> DeathClaim | None:
    """State how a process died of a signal; None where it did not, or is running."""
    signo = state.status.signo if state.status is not None else None
    if signo is None:
        return None
    cause = state.cause or Cause.UNKNOWN
    fatal = state.fatal_signal.event if state.fatal_signal is not None else None
    if fatal is None:
        return DeathClaim(
            victim=state.key,
            signo=signo,
            died_ns=state.exit_ns,
            sent_ns=None,
            cause=cause,
            relation=Relation.UNKNOWN,
            certainty=Certainty.UNKNOWN,
            needs=("the signal itself, which was not seen",),
        )
    relation = _relation(correlator, state, fatal)
    evidence: tuple[Evidence, ...] = (Evidence("signal", fatal.boot_ns, state.key),)
    wish = None
    certainty = Certainty.UNKNOWN if cause is Cause.UNKNOWN else Certainty.SEEN
    if relation is Relation.RUNTIME and signo == SIGKILL:
        wish, certainty_of_wish, more = whose_wish(correlator, state, fatal)
        evidence += more
        if certainty_of_wish is Certainty.INFERRED:
            certainty = Certainty.INFERRED
    return DeathClaim(
        victim=state.key,
        signo=signo,
        died_ns=state.exit_ns,
        sent_ns=fatal.boot_ns,
        cause=cause,
        relation=relation,
        sender=_sender(correlator, fatal) if causes.is_sent_by_user(fatal) else None,
        earlier=_earlier(state, fatal),
        wish=wish,
        lived_ns=None if state.is_seen_late else fatal.boot_ns - state.key.start_boot_ns,
        cpu_limit_s=fatal.cpu_limit_s,
        is_kernels_own=cause is Cause.UNKNOWN and causes.is_kernels_own(fatal),
        certainty=certainty,
        evidence=evidence,
    )


def claim_dropped(correlator: Correlator) -> Iterator[DroppedClaim]:
    """State which signals to an init were dropped that are no stop signals."""
    for state in correlator.table:
        for dropped in state.asked.dropped if state.asked is not None else ():
            first = dropped.first
            is_sent = causes.is_sent_by_user(first)
            sent = causes.classify_signal(first, state, correlator.table)
            yield DroppedClaim(
                init=state.key,
                signo=first.signo,
                count=dropped.count,
                first_ns=first.boot_ns,
                last_ns=dropped.last.boot_ns,
                cause=sent.cause if sent is not None else Cause.UNKNOWN,
                sender=_sender(correlator, first) if is_sent else None,
                is_traced=state.tracer_host_pid is not None,
                is_raised_again=(first.actor_is_self and _has_handled(state, first))
                or raised_again(state, first.signo, dropped.last.boot_ns),
                evidence=(
                    Evidence("signal", first.boot_ns, state.key),
                    Evidence("signal", dropped.last.boot_ns, state.key),
                ),
                span=Span(first.boot_ns, dropped.last.boot_ns),
            )


def _has_handled(init: ProcessState, raised: SignalEvent) -> bool:
    """Whether an init was sent a signal before that it had a handler for, or waited for."""
    return init.asked is not None and any(
        event.signo == raised.signo
        and event.boot_ns <= raised.boot_ns
        and event.disposition in (Disposition.CAUGHT, Disposition.BLOCKED)
        for event in init.asked.sent
    )


def raised_again(state: ProcessState, signo: int, until_ns: int) -> bool:
    """Whether an init, having handled a stop signal, sent it to itself and the kernel dropped it.

    That is how a handler ends a program with the right status: it restores the default
    action and raises the signal again. In PID 1 that has no effect.
    """
    return any(
        stop.stop_signal is not None
        and stop.stop_signal.signo == signo
        and stop.stop_signal.disposition in (Disposition.CAUGHT, Disposition.BLOCKED)
        and stop.begin_ns <= dropped.last.boot_ns <= until_ns
        for scope in state.led
        for stop in scope.stops
        for dropped in (state.asked.dropped if state.asked is not None else ())
        if dropped.last.signo == signo and dropped.last.actor_is_self
    )


def _relation(correlator: Correlator, victim: ProcessState, event: SignalEvent) -> Relation:
    if not causes.is_sent_by_user(event):
        return Relation.KERNEL
    if event.actor_is_self:
        return Relation.ITSELF
    if causes.is_runtime(event, victim.scopes):
        return Relation.RUNTIME
    actor = event.actor
    if actor.key is not None and actor.key == event.process.parent_key:
        return Relation.PARENT
    scope = next(iter(victim.scopes), None)
    if scope is None:
        return Relation.OUTSIDE if actor.ns_pid == 0 else Relation.UNKNOWN
    if any(one.key == actor.key for one in correlator.table.ancestors(victim)):
        return Relation.SUPERVISOR
    if causes.is_neighbour(actor, scope):
        return Relation.SIDECAR
    return Relation.OUTSIDE if causes.is_from_outside(event, scope) else Relation.INSIDE


def _earlier(victim: ProcessState, fatal: SignalEvent) -> tuple[EarlierSignal, ...]:
    """What the sender of the fatal signal had sent before, a thread of it perhaps."""
    if victim.asked is None or not causes.is_sent_by_user(fatal):
        return ()
    return tuple(
        EarlierSignal(
            signo=event.signo,
            boot_ns=event.boot_ns,
            disposition=event.disposition,
            was_dropped=causes.is_dropped(event),
        )
        for event in victim.asked.sent
        if event.actor.key is not None
        and event.actor.key == fatal.actor.key
        and event.boot_ns < fatal.boot_ns
    )


def _sender(correlator: Correlator, event: SignalEvent) -> Sender:
    actor = event.actor
    command = command_of(correlator, actor.key)
    return Sender(
        key=actor.key,
        host_pid=actor.host_pid,
        comm=actor.comm,
        chain=actor.chain,
        syscall=actor.syscall,
        command=command,
        oom_killer=_oom_killer(actor, command),
    )


def _oom_killer(actor: Actor, command: str | None) -> str | None:
    """The user-space OOM killer that a sender is, by its name and its command line.

    One in a container may call itself anything.
    """
    if actor.ns_pid != 0 or command is None:
        return None
    program = command.split(" ", 1)[0].rpartition("/")[2]
    return program if program in _OOM_KILLERS and program.startswith(actor.comm) else None
