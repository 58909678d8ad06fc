"""ZT109: workers that a signal to the whole process group ended under their parent."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tracer.correlate.correlator import Correlator
from tracer.correlate.process import ProcessState
from tracer.correlate.scope import Scope
from tracer.correlate.stops import StopState
from tracer.diagnose.findings.make import is_complete, make_finding
from tracer.diagnose.member_readings import is_init_program, is_shell, program_of
from tracer.model.identity import ProcessKey
from tracer.model.report import Finding
from tracer.model.signals import DEFAULT_IGNORED, Disposition, signal_name
from tracer.wording import names as wording

_AT_ONCE_NS = 5_000_000
"""A signal to a group reaches all of it within this."""


def find_cut_off(correlator: Correlator, scope: Scope, stop: StopState) -> Iterator[Finding]:
    """ZT109: workers that a signal to the whole group ended under a parent that handles it."""
    by_parent: dict[ProcessKey, list[ProcessState]] = {}
    for key in sorted(stop.members):
        victim = correlator.table.get(key)
        if victim is None:
            continue
        parent = correlator.table.get(victim.original_parent)
        if parent is not None and _was_cut_off(correlator, stop, victim, parent):
            by_parent.setdefault(parent.key, []).append(victim)
    name = signal_name(stop.stop_signo)
    for parent_key, victims in by_parent.items():
        parent = correlator.table.get(parent_key)
        seen = victims[0].signalled_since(stop.begin_ns)
        if parent is None or seen is None:
            continue
        sender = correlator.table.comm_of(seen.sender) or seen.sender_comm
        names = wording.name_counts(victims)
        number = wording.number(victims)
        yield make_finding(
            "ZT109",
            title=f"{sender} terminated {wording.count(number, 'child', 'children')} of {parent.comm} in {scope.label}",
            detail=(
                f"{sender} sent {name} to the whole process group: {names}"
                f" {'has' if number == 1 else 'have'} no handler and died of it, while"
                f" {wording.named(parent)}, the parent, handles {name} and was still there to wait for"
                f" {'it' if number == 1 else 'them'}. Whatever {'it was' if number == 1 else 'they were'}"
                " doing was cut off."
            ),
            advice=_group_advice(correlator, seen.sender, sender, parent),
            states=[parent, *victims],
            complete=is_complete(correlator, [parent, *victims], stop.begin_ns, stop.end_ns),
        )


def _group_advice(
    correlator: Correlator,
    sender_key: ProcessKey | None,
    sender: str,
    parent: ProcessState,
) -> str:
    state = correlator.table.get(sender_key)
    if state is not None and is_init_program(correlator, state):
        program = program_of(correlator, state)
        option = "start it without -g" if program != "dumb-init" else "use --single-child"
        return (
            f"If {parent.comm} terminates its workers itself, have {sender} signal only {parent.comm}"
            f" ({option})."
        )
    return (
        f"If {parent.comm} terminates its workers itself, have {sender} signal only {parent.comm}."
    )


def _was_cut_off(
    correlator: Correlator, stop: StopState, victim: ProcessState, parent: ProcessState
) -> bool:
    seen = victim.signalled_since(stop.begin_ns)
    parents = parent.signalled_since(stop.begin_ns)
    if seen is None or parents is None or seen.sender in (parent.key, victim.key):
        return False
    is_one_signal = (
        seen.sender == parents.sender
        and seen.signo == parents.signo
        and abs(seen.boot_ns - parents.boot_ns) <= _AT_ONCE_NS
    )
    died_of_it = (
        victim.status is not None
        and victim.status.signo == seen.signo
        and seen.signo not in DEFAULT_IGNORED
        and seen.disposition is Disposition.DEFAULT
    )
    is_waited_for = (
        parents.disposition in (Disposition.CAUGHT, Disposition.BLOCKED)
        and victim.reap is not None
        and victim.reap.reaper == parent.key
        and (parent.status is None or parent.status.signo != seen.signo)
    )
    return (
        is_one_signal
        and died_of_it
        and is_waited_for
        and _is_worker(correlator, victim, parent)
        # In a shell the foreground child is meant to die: the trap runs after it.
        and not is_shell(correlator, parent)
        and not is_init_program(correlator, parent)
    )


def _is_worker(correlator: Correlator, victim: ProcessState, parent: ProcessState) -> bool:
    """Whether a process runs its parent's program, and has not executed another."""
    if victim.executed_ns is not None:
        return False
    if not victim.is_seeded:
        return not correlator.losses.any_between(victim.born_ns, victim.exit_ns, ("exec",))
    program: Callable[[ProcessState], str] = lambda one: program_of(correlator, one)  # noqa: E731
    return program(victim) == program(parent)
