"""Zombies as a report sees them: how long, whose, and whose fault."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tracer.correlate import descent
from tracer.correlate.process import ProcessState, ReapState
from tracer.correlate.trace_state import TraceState
from tracer.model.events import Precision, SigchldAction
from tracer.model.identity import ProcessKey
from tracer.model.verdicts import ReapKind

_SURELY_DEAD_NS = 1_000_000_000
_TRAILING_NS = 250_000_000
"""How far an upper bound may be above the truth and still make a zombie's age."""


@dataclass(frozen=True, slots=True)
class ZombieView:
    """The time for which a process, or its main thread alone, was a zombie.

    Args:
        state: The process.
        begin_ns: When that began, or None.
        zombie_ns: How long it lasted, or None.
        precision: Of that.
        at_least_ns: How long it was one for all that is likely: an upper bound less
            what the kernel may take to free what was released.
        reap: Its release, or None where it is still there.
        responsible: Who has to reap it; once it is gone, who let it lie longest.
        holder: Who had to reap it last.
        is_orphan: The one responsible is not its own parent, which had died.
        is_direct_injection: Its parent is outside its PID namespace.
        is_put_in: It came from outside, or an ancestor did.
        live_threads: How many threads lived on, where its main thread alone had
            ended: it cannot be reaped before they do. Else 0.
        parent_sigchld: What the one responsible does about SIGCHLD.
        tracer: Who traces it and has not waited for it yet, or None.
        is_tracers: The one responsible was no parent, but traced it.
        held_ns: For how long the one responsible had to reap it.
        lost: The kinds of record that were lost in that time and without which it is
            not certain who had to reap it.
    """

    state: ProcessState
    begin_ns: int | None
    zombie_ns: int | None
    precision: Precision
    at_least_ns: int | None
    reap: ReapState | None
    responsible: ProcessKey | None
    holder: ProcessKey | None
    is_orphan: bool
    is_direct_injection: bool
    is_put_in: bool
    live_threads: int
    parent_sigchld: SigchldAction
    tracer: ProcessKey | None
    held_ns: int
    is_tracers: bool = False
    lost: tuple[str, ...] = ()

    @property
    def is_leader_only(self) -> bool:
        """Whether only the main thread had ended."""
        return self.live_threads > 0


def view_zombies(trace: TraceState) -> Iterator[ZombieView]:
    """Every zombie worth naming, in order of birth."""
    for state in trace.table:
        for view in view_zombies_of(trace, state):
            if is_worth_naming(trace, view):
                yield view


def view_zombies_of(trace: TraceState, state: ProcessState) -> Iterator[ZombieView]:
    """A process as a zombie: its main thread alone, then the whole of it."""
    for view in (view_leader(trace, state), view_zombie(trace, state)):
        if view is not None:
            yield view


def is_worth_naming(trace: TraceState, view: ZombieView) -> bool:
    """Whether a zombie was old, or there before tracing.

    The init of a command that this program started waits for this program, which is busy
    with the records of its end: that says nothing about the command.
    """
    if any(scope.is_ours and scope.init == view.state.key for scope in view.state.scopes):
        return False
    if (view.at_least_ns or 0) >= trace.options.min_zombie_ns and view.at_least_ns is not None:
        return True
    zombie = view.state.zombie
    return (
        not view.is_leader_only
        and zombie is not None
        and zombie.begin_precision is Precision.LOWER_BOUND
    )


def was_zombie_by(state: ProcessState, boot_ns: int) -> bool:
    """Whether a process had become a zombie by an instant, released since or not.

    One of before the trace was a zombie when its first reading was taken, too: that is
    of a moment before the processes were listed.
    """
    zombie = state.zombie
    return zombie is not None and (
        zombie.begin_ns <= boot_ns or zombie.begin_precision is Precision.LOWER_BOUND
    )


def duty_holder_at(state: ProcessState, boot_ns: int) -> ProcessKey | None:
    """Who had to reap a zombie at an instant."""
    duties = state.zombie.duties if state.zombie is not None else []
    notified = [duty.holder for duty in duties if duty.since_ns <= boot_ns]
    return notified[-1] if notified else state.original_parent


def release_of(state: ProcessState) -> ReapState | None:
    """The release of a process, also where only its pid's next owner proves it."""
    if state.reap is not None or state.gone_by_ns is None:
        return state.reap
    zombie, zombie_ns, precision = state.zombie, None, Precision.UPPER_BOUND
    if zombie is not None and zombie.begin_precision is not Precision.LOWER_BOUND:
        zombie_ns = max(0, state.gone_by_ns - zombie.begin_ns)
    return ReapState(
        state.gone_by_ns,
        Precision.UPPER_BOUND,
        ReapKind.UNKNOWN,
        None,
        None,
        zombie_ns,
        precision,
        is_stand_in=True,
    )


def view_leader(trace: TraceState, state: ProcessState) -> ZombieView | None:
    """A process whose main thread ended first, as a zombie; or None."""
    begin_ns = state.leader_exit_ns
    if begin_ns is None:
        return None
    until_ns = state.leader_alone_until_ns
    if until_ns is None and (state.exit_ns is not None or release_of(state) is not None):
        return None
    # Another thread may have called exec and put an end to it.
    if trace.losses.any_between(begin_ns, until_ns, ("exec",)):
        return None
    is_bound = until_ns is None or state.is_leader_exit_bound
    if until_ns is None:
        # The last thread may have ended unseen: it lived at its last sign of life.
        is_lost = trace.losses.any_between(state.alive_until_ns, None, ("exit",))
        until_ns = max(begin_ns, state.alive_until_ns) if is_lost else trace.now_ns
    lasted_ns = until_ns - begin_ns
    return ZombieView(
        state=state,
        begin_ns=begin_ns,
        zombie_ns=lasted_ns,
        at_least_ns=lasted_ns,
        precision=Precision.LOWER_BOUND if is_bound else Precision.EXACT,
        reap=release_of(state),
        responsible=state.snapshot.parent_key,
        holder=state.snapshot.parent_key,
        is_orphan=False,
        is_direct_injection=state.is_injected,
        is_put_in=_is_put_in(trace, state),
        live_threads=max(1, state.live_threads),
        parent_sigchld=state.parent_sigchld,
        tracer=None,
        held_ns=lasted_ns,
    )


def view_zombie(trace: TraceState, state: ProcessState) -> ZombieView | None:
    """A process as a zombie, or None where it never was one, or that is not known."""
    zombie, reap = state.zombie, release_of(state)
    if zombie is None or _never_was(trace, state, reap):
        return None
    if reap is not None:
        until_ns, zombie_ns, precision = reap.boot_ns, reap.zombie_ns, reap.zombie_precision
    else:
        until_ns = trace.now_ns
        zombie_ns = max(0, until_ns - zombie.begin_ns)
        # A process whose parent was not notified was not a zombie yet at its last sign of life.
        is_begin_early = zombie.begin_precision is Precision.UPPER_BOUND
        precision = Precision.UPPER_BOUND if is_begin_early else Precision.LOWER_BOUND
    at_least_ns = zombie_ns
    if zombie_ns is not None and reap is not None and precision is Precision.UPPER_BOUND:
        proved_ns = state.seen_until_ns - zombie.begin_ns
        slack_ns = min(_TRAILING_NS, trace.options.min_zombie_ns // 2)
        # Of a release whose record was lost the bound says nothing: it may have come
        # right behind the last sign that the zombie was there.
        is_lost = _is_release_lost(trace, state, reap)
        at_least_ns = max(0, proved_ns, 0 if is_lost else zombie_ns - slack_ns)
    spells = list(_spells(state, until_ns))
    holder, held_ns, sigchld = spells[-1]
    tracer = None
    if reap is None and _is_tracer(holder, state):
        tracer = holder
        holder = state.snapshot.parent_key
        sigchld = state.parent_sigchld
    responsible = holder
    if reap is not None:
        responsible, held_ns, sigchld = max(spells, key=lambda spell: spell[1])
    is_tracers = tracer is None and _is_tracer(responsible, state)
    return ZombieView(
        state=state,
        begin_ns=zombie.begin_ns,
        zombie_ns=zombie_ns,
        precision=precision,
        at_least_ns=at_least_ns,
        reap=reap,
        responsible=responsible,
        holder=holder,
        is_orphan=responsible not in (None, state.original_parent) and not is_tracers,
        is_direct_injection=state.is_injected,
        is_put_in=_is_put_in(trace, state),
        live_threads=0,
        parent_sigchld=sigchld,
        tracer=tracer,
        held_ns=held_ns,
        is_tracers=is_tracers,
        lost=trace.losses.kinds_between(
            max(zombie.begin_ns, state.parent_seen_ns), until_ns, ("signal",)
        ),
    )


def _is_release_lost(trace: TraceState, state: ProcessState, reap: ReapState) -> bool:
    """Whether the record of a release was lost, so that only an upper bound is known."""
    if reap.is_stand_in:
        return True
    since_ns = max(state.seen_until_ns, state.exit_ns or 0)
    return reap.precision is Precision.UPPER_BOUND and trace.losses.any_between(
        since_ns, reap.boot_ns, ("reap", "free")
    )


def _never_was(trace: TraceState, state: ProcessState, reap: ReapState | None) -> bool:
    zombie = state.zombie
    if reap is not None:
        return reap.zombie_ns == 0 and reap.zombie_precision is Precision.EXACT
    if _may_be_released(trace, state):
        return True
    if zombie is None or zombie.duties or zombie.begin_precision is Precision.LOWER_BOUND:
        return False
    if state.exit_signo == 0:
        return False
    # No process was notified: it is still exiting (an init waits for its namespace), or it
    # reaps itself in a moment. Where the notification may be lost, time decides.
    return bool(state.led) or not (
        trace.losses.any_between(state.exit_ns or 0, None, ("signal",))
        and trace.now_ns - zombie.begin_ns >= _SURELY_DEAD_NS
    )


def _may_be_released(trace: TraceState, state: ProcessState) -> bool:
    """Whether it may be gone for all that is known: the records of that were lost."""
    losses, since_ns = trace.losses, state.seen_until_ns
    is_lost = losses.any_between(since_ns, None, ("free",))
    # With kprobes there are two records of a release, but for that of a main thread that
    # ended first: its last thread releases it without release_task being entered.
    may_be_leader = state.leader_exit_ns is not None or losses.any_between(
        state.born_ns, state.exit_ns, ("exit",)
    )
    if is_lost and trace.is_hooked("reap") and not may_be_leader:
        return losses.any_between(since_ns, None, ("reap",))
    return is_lost


def _spells(
    state: ProcessState, until_ns: int
) -> Iterator[tuple[ProcessKey | None, int, SigchldAction]]:
    """Who had to reap it for how long, in order."""
    zombie = state.zombie
    if zombie is None:
        return
    duties = zombie.duties
    if not duties or duties[0].since_ns > zombie.begin_ns:
        first_until_ns = duties[0].since_ns if duties else until_ns
        first, sigchld = state.original_parent, state.parent_sigchld
        tracer = state.tracer_host_pid
        was_there = zombie.begin_precision is Precision.LOWER_BOUND
        if was_there and tracer is not None and (first is None or first.host_pid != tracer):
            # It was found with a tracer that had not waited for it: known by its pid alone.
            first, sigchld = ProcessKey(tracer, 0), SigchldAction.UNKNOWN
        yield first, first_until_ns - zombie.begin_ns, sigchld
    ends_ns = [*(duty.since_ns for duty in duties), until_ns][1:]
    for duty, end_ns in zip(duties, ends_ns, strict=False):
        yield duty.holder, end_ns - duty.since_ns, duty.sigchld


def _is_tracer(holder: ProcessKey | None, state: ProcessState) -> bool:
    return (
        holder is not None
        and state.tracer_host_pid == holder.host_pid
        and holder != state.snapshot.parent_key
    )


def _is_put_in(trace: TraceState, state: ProcessState) -> bool:
    return bool(descent.scopes_put_into(state, trace.table))
