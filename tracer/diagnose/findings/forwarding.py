"""ZT102, ZT108: whom the stop signal reached, judged from the victim's side.

Would the signal have mattered? Not to one that ignores it, that was born after the stop
began, that was injected, or that was dying already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tracer.correlate import causes, descent
from tracer.correlate.causes import is_dropped
from tracer.correlate.correlator import Correlator
from tracer.correlate.process import ProcessState, StopSignalSeen
from tracer.correlate.scope import Scope
from tracer.correlate.stops import SURVIVED_AFTER_NS, StopState
from tracer.diagnose.advice import advise_foreground, advise_group, advise_shell
from tracer.diagnose.findings.group_signal import find_cut_off
from tracer.diagnose.findings.make import is_complete, make_finding, say_doubt
from tracer.diagnose.findings.subject import subject_of
from tracer.diagnose.member_readings import (
    catches,
    ignores,
    is_dying,
    is_init_program,
    is_shell,
    process_group_of,
)
from tracer.model.identity import ProcessKey
from tracer.model.report import Finding
from tracer.model.signals import SIGKILL, Disposition, signal_name
from tracer.model.verdicts import Cause
from tracer.wording import names as wording


def find_forwarding(
    correlator: Correlator, scope: Scope, stop: StopState, init: ProcessState
) -> Iterator[Finding]:
    """What was wrong in how a stop signal was forwarded."""
    event = stop.stop_signal
    if event is None:
        return
    yield from find_cut_off(correlator, scope, stop)
    if stop.escalated or stop.init_exit_ns is None or is_dropped(event):
        return
    if event.signo == SIGKILL or (init.status is not None and init.status.signo == SIGKILL):
        # It was killed, by any process: it could not forward anything.
        return
    yield from _not_forwarded(correlator, scope, stop, init)
    yield from _not_waited_for(correlator, scope, stop, init)


def _torn_down(
    correlator: Correlator, scope: Scope, stop: StopState
) -> Iterator[tuple[ProcessState, StopSignalSeen | None]]:
    """Members that the teardown killed, and to whom the stop signal would have mattered."""
    for key in sorted(stop.members):
        state = correlator.table.get(key)
        if state is None or state.cause is not Cause.PIDNS_TEARDOWN:
            continue
        if descent.is_put_in(state, scope, correlator.table) or state.born_ns > stop.begin_ns:
            continue
        if _had_begun_to_exit(correlator, stop, state):
            continue
        if not ignores(correlator, state, stop.stop_signo):
            yield state, state.signalled_since(stop.begin_ns)


def _had_begun_to_exit(correlator: Correlator, stop: StopState, state: ProcessState) -> bool:
    """Whether a process was on its way out before init's exit.

    A main thread that had exited before the stop began, while others ran on, says nothing.
    """
    leader_exit_ns = state.leader_exit_ns
    if leader_exit_ns is None or leader_exit_ns >= (stop.init_exit_ns or 0):
        return False
    return leader_exit_ns >= stop.begin_ns or is_dying(correlator, state)


def unforwarded_victims(
    correlator: Correlator, scope: Scope, stop: StopState
) -> list[ProcessState]:
    """Members that the teardown killed although no process had signalled them.

    A member that a process of the same container sent any signal since the stop
    began was signalled: a forwarder may translate.
    """
    return [
        state
        for state, seen in _torn_down(correlator, scope, stop)
        if seen is None and not (state.told_ns is not None and state.told_ns >= stop.begin_ns)
    ]


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
    if stop.init_exit_ns is None:
        return
    by_blamed: dict[ProcessKey, tuple[ProcessState, list[ProcessState]]] = {}
    for victim in unforwarded_victims(correlator, scope, stop):
        blamed = _blamed_for(correlator, stop, victim, init)
        if any(
            ancestor is not init and _still_handled_it(correlator, scope, stop, ancestor)
            for ancestor in correlator.table.ancestors(victim)
        ):
            # The one that was to tell it was cut off itself: that is what PID 1 did (ZT108).
            continue
        by_blamed.setdefault(blamed.key, (blamed, []))[1].append(victim)
    name = signal_name(stop.stop_signo)
    after = wording.seconds(stop.init_exit_ns - stop.begin_ns)
    for blamed, victims in by_blamed.values():
        who = "PID 1" if blamed is init else wording.named(blamed)
        if blamed is init:
            story = (
                f"{wording.named(init)} received {name}, did not forward it to"
                f" {wording.name_counts(victims)}, and {after} later {wording.ended(init.status)}."
                " The kernel then killed the remaining processes of the namespace with SIGKILL:"
            )
        else:
            fate = f" and {wording.ended(blamed.status)}" if blamed.status is not None else ""
            story = (
                f"{wording.named(blamed)} received {name}{fate}, and did not forward it to"
                f" {wording.name_counts(victims)}. PID 1 {wording.ended(init.status)} {after} after"
                " the stop began, and the kernel killed the remaining processes of the namespace"
                " with SIGKILL:"
            )
        yield make_finding(
            "ZT102",
            title=f"{who} of {scope.label} did not forward {name}",
            detail=f"{story} {wording.processes(wording.number(victims))} had no chance to shut down cleanly.",
            advice=_forwarding_advice(correlator, blamed, init, victims, stop.stop_signo),
            states=[blamed, *victims],
            complete=is_complete(correlator, [blamed, *victims], stop.begin_ns, stop.end_ns),
            doubt=_doubt_passing_on(correlator, scope, stop, victims),
        )


def _still_handled_it(
    correlator: Correlator, scope: Scope, stop: StopState, state: ProcessState
) -> bool:
    return any(
        one is state
        and seen is not None
        and seen.disposition in (Disposition.CAUGHT, Disposition.BLOCKED)
        for one, seen in _torn_down(correlator, scope, stop)
    )


def _doubt_passing_on(
    correlator: Correlator, scope: Scope, stop: StopState, victims: list[ProcessState]
) -> str | None:
    """Say what may have been sent to them unseen, or that they may have been injected."""
    # The stop may have begun, and been passed on, with a stop signal that was lost.
    lost = correlator.losses.kinds_between(
        stop.begin_ns - SURVIVED_AFTER_NS, stop.init_exit_ns, ("signal",)
    )
    they = "it was" if len(victims) == 1 else "they were"
    unknown = f"whether {they} signalled"
    if not all(
        descent.is_descent_known(victim, scope, correlator.table) for victim in victims
    ) and (births := correlator.losses.kinds_between(0, stop.init_exit_ns, ("fork",))):
        lost = tuple(sorted({*lost, *births}))
        unknown += f", and whether {they} injected,"
    return say_doubt(lost, unknown)


def _forwarding_advice(
    correlator: Correlator,
    blamed: ProcessState,
    init: ProcessState,
    victims: list[ProcessState],
    signo: int,
) -> str:
    subject = subject_of(correlator, blamed, is_pid1=blamed is init)
    name = signal_name(signo)
    if all(_left_its_parent(state, blamed, init) for state in victims):
        return advise_foreground(wording.name_counts(victims))
    group = advise_group(
        are_in_group=_are_in_group_of(correlator, init, victims),
        have_orderly_parent=any(_has_orderly_parent(correlator, one) for one in victims),
        need_time=any(catches(correlator, one, signo) for one in victims),
    )
    if subject.is_shell:
        return " ".join(filter(None, (advise_shell(subject, signo), group)))
    own = (
        f"In {blamed.comm}: forward {name} to {wording.name_counts(victims)} and wait"
        " before exiting."
    )
    if subject.is_init_program:
        own = (
            f"{blamed.comm} forwards {name} only to the program that it started: have that program"
            f" forward it to {wording.name_counts(victims)} and wait, or keep them in the foreground."
        )
    # In front of one that does not forward, an init reaches no more than the same process.
    return " ".join(filter(None, (own, group)))


def _left_its_parent(state: ProcessState, blamed: ProcessState, init: ProcessState) -> bool:
    """Whether a process was put into the background by a parent that ended (a daemon)."""
    return (
        state.original_parent not in (None, blamed.key, init.key)
        and state.snapshot.parent_key == init.key
    )


def _are_in_group_of(
    correlator: Correlator, init: ProcessState, victims: Iterable[ProcessState]
) -> bool | None:
    """Whether victims are in the group of the program that an init in front would start."""
    group = process_group_of(correlator, init)
    groups = {process_group_of(correlator, victim) for victim in victims}
    if is_init_program(correlator, init):
        # It puts what it starts into a group of its own.
        started = [
            state
            for state in correlator.table.each()
            if state.original_parent == init.key and state.snapshot.ns_pid == 2
        ]
        group = process_group_of(correlator, started[0]) if started else None
    if group is None or None in groups:
        return None
    return groups == {group}


def _has_orderly_parent(correlator: Correlator, victim: ProcessState) -> bool:
    parent = correlator.table.get(victim.original_parent)
    seen = parent.stop_signal if parent is not None else None
    return seen is not None and seen.disposition in (Disposition.CAUGHT, Disposition.BLOCKED)


def _not_waited_for(
    correlator: Correlator, scope: Scope, stop: StopState, init: ProcessState
) -> Iterator[Finding]:
    """ZT108: who was signalled within the container, and still handled it when PID 1 ended."""
    init_exit_ns = stop.init_exit_ns
    if init_exit_ns is None:
        return
    victims: list[ProcessState] = []
    seen_first: StopSignalSeen | None = None
    for state, seen in _torn_down(correlator, scope, stop):
        if seen is None or seen.disposition not in (Disposition.CAUGHT, Disposition.BLOCKED):
            continue
        if not causes.is_fatal_by_default(seen.signo):
            # SIGWINCH and the like need not have asked it to end.
            continue
        sender = correlator.table.get(seen.sender)
        if sender is None or (scope not in sender.scopes) or seen.boot_ns > init_exit_ns:
            continue
        victims.append(state)
        if seen_first is None or seen.boot_ns > seen_first.boot_ns:
            seen_first = seen
    if seen_first is None:
        return
    name = signal_name(seen_first.signo)
    names = wording.name_counts(victims)
    after = wording.seconds(init_exit_ns - seen_first.boot_ns)
    is_one = wording.number(victims) == 1
    was, them = ("it was", "it") if is_one else ("they were", "them")
    handles = "handles" if is_one else "handle"
    by = "it" if seen_first.sender == init.key else seen_first.sender_comm
    parent = _who_left(correlator, victims, init)
    yield make_finding(
        "ZT108",
        title=f"PID 1 of {scope.label} exited without waiting for {names}",
        detail=(
            f"{wording.named(init)} {wording.ended(init.status)}, {after} after {by} had sent {name} to"
            f" {names}, which {handles} it: {was} still there, and the kernel killed {them} with"
            " SIGKILL in the teardown of the namespace."
        ),
        advice=_waiting_advice(correlator, parent, victims),
        states=[init, *victims],
        complete=is_complete(correlator, [init, *victims], stop.begin_ns, stop.end_ns),
        doubt=say_doubt(
            correlator.losses.kinds_between(stop.begin_ns, init_exit_ns, ("signal", "exit")),
            "whether they had exited before that",
        ),
    )


def _who_left(
    correlator: Correlator, victims: list[ProcessState], init: ProcessState
) -> ProcessState:
    """Who should have waited: the parent that ended before its child, else PID 1."""
    parent = correlator.table.get(victims[0].original_parent)
    return parent if parent is not None and parent.exit_ns is not None else init


def _waiting_advice(
    correlator: Correlator, parent: ProcessState, victims: list[ProcessState]
) -> str:
    seen = parent.stop_signal or parent.translated
    has_trap = seen is not None and seen.disposition is Disposition.CAUGHT
    if is_shell(correlator, parent) and not has_trap:
        return (
            f"In {parent.comm}: start {wording.name_counts(victims)} with `exec`, so that no shell is"
            " between it and the process that waits."
        )
    if is_shell(correlator, parent):
        return (
            f"In {parent.comm}: the trap interrupts `wait`. `wait` for {wording.name_counts(victims)}"
            ' again afterwards: `trap \'kill -TERM "$child"\' TERM; wait "$child"; wait "$child"`.'
        )
    return f"In {parent.comm}: wait for {wording.name_counts(victims)} before exiting."
