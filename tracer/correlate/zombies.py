"""Zombies as a report sees them: how long, whose, and whose fault."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tracer.correlate import causes
from tracer.correlate.state import ProcessState, ReapState
from tracer.correlate.world import World
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
        is_direct_injection: Its parent lives outside its PID namespace.
        is_put_in: It came from outside, or an ancestor did.
        live_threads: How many threads lived on, where its main thread alone had
            ended: nobody can reap it before they end. Else 0.
        parent_sigchld: What the one responsible does about SIGCHLD.
        tracer: Who traces it and has not waited for it yet, or None.
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

    @property
    def is_leader_only(self) -> bool:
        """Whether only the main thread had ended."""
        return self.live_threads > 0


def view_zombies(world: World) -> Iterator[ZombieView]:
    """Every zombie worth naming: old, there before tracing, or a leader alone."""
    min_ns = world.options.min_zombie_ns
    for state in world.table:
        alone = view_leader(world, state)
        if alone is not None and (alone.at_least_ns or 0) >= min_ns:
            yield alone
        view = view_zombie(world, state)
        if view is None:
            continue
        is_old = view.at_least_ns is not None and view.at_least_ns >= min_ns
        was_there = state.zombie is not None and (
            state.zombie.begin_precision is Precision.LOWER_BOUND
        )
        if is_old or was_there:
            yield view


def responsible_for(state: ProcessState) -> ProcessKey | None:
    """Who has to reap a process: whom the kernel told last, else its parent."""
    holder = state.zombie.holder if state.zombie is not None else None
    return holder or state.snapshot.parent_key


def holder_at(state: ProcessState, boot_ns: int) -> ProcessKey | None:
    """Who had to reap a zombie at an instant."""
    holdings = state.zombie.holdings if state.zombie is not None else []
    told = [holding.holder for holding in holdings if holding.since_ns <= boot_ns]
    return told[-1] if told else state.original_parent


def release_of(state: ProcessState) -> ReapState | None:
    """The release of a process, also where only its pid's next owner proves it."""
    if state.reap is not None or state.gone_by_ns is None:
        return state.reap
    zombie, zombie_ns, precision = state.zombie, None, Precision.UPPER_BOUND
    if zombie is not None and zombie.begin_precision is not Precision.LOWER_BOUND:
        zombie_ns = max(0, state.gone_by_ns - zombie.begin_ns)
    return ReapState(
        state.gone_by_ns, Precision.UPPER_BOUND, ReapKind.UNKNOWN, None, None, zombie_ns, precision
    )


def view_leader(world: World, state: ProcessState) -> ZombieView | None:
    """A process whose main thread ended first, as a zombie; or None."""
    begin_ns = state.leader_exit_ns
    if begin_ns is None:
        return None
    until_ns = state.leader_alone_until_ns
    if until_ns is None and (state.exit_ns is not None or release_of(state) is not None):
        return None
    # Another thread may have called exec and put an end to it.
    if world.losses.any_between(begin_ns, until_ns, ("exec",)):
        return None
    is_bound = until_ns is None or state.is_leader_exit_bound
    lasted_ns = (until_ns if until_ns is not None else world.now_ns) - begin_ns
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
        is_put_in=_is_put_in(world, state),
        live_threads=max(1, state.live_threads),
        parent_sigchld=state.parent_sigchld,
        tracer=None,
    )


def view_zombie(world: World, state: ProcessState) -> ZombieView | None:
    """A process as a zombie, or None where it never was one, or that is not known."""
    zombie, reap = state.zombie, release_of(state)
    if zombie is None or _never_was(world, state, reap):
        return None
    if reap is not None:
        until_ns, zombie_ns, precision = reap.boot_ns, reap.zombie_ns, reap.zombie_precision
    else:
        until_ns = world.now_ns
        zombie_ns = max(0, until_ns - zombie.begin_ns)
        # Whose parent was not told had not got that far at its last sign of life.
        is_begin_early = zombie.begin_precision is Precision.UPPER_BOUND
        precision = Precision.UPPER_BOUND if is_begin_early else Precision.LOWER_BOUND
    at_least_ns = zombie_ns
    if zombie_ns is not None and reap is not None and precision is Precision.UPPER_BOUND:
        proved_ns = state.seen_until_ns - zombie.begin_ns
        slack_ns = min(_TRAILING_NS, world.options.min_zombie_ns // 2)
        at_least_ns = max(0, proved_ns, zombie_ns - slack_ns)
    spells = list(_spells(state, until_ns))
    holder, _, sigchld = spells[-1]
    tracer = None
    if reap is None and _is_tracer(holder, state):
        tracer = holder
        holder = state.snapshot.parent_key
        sigchld = state.parent_sigchld
    responsible = holder
    if reap is not None:
        responsible, _, sigchld = max(spells, key=lambda spell: spell[1])
    return ZombieView(
        state=state,
        begin_ns=zombie.begin_ns,
        zombie_ns=zombie_ns,
        precision=precision,
        at_least_ns=at_least_ns,
        reap=reap,
        responsible=responsible,
        holder=holder,
        is_orphan=responsible is not None and responsible != state.original_parent,
        is_direct_injection=state.is_injected,
        is_put_in=_is_put_in(world, state),
        live_threads=0,
        parent_sigchld=sigchld,
        tracer=tracer,
    )


def _never_was(world: World, state: ProcessState, reap: ReapState | None) -> bool:
    zombie = state.zombie
    if reap is not None:
        return reap.zombie_ns == 0 and reap.zombie_precision is Precision.EXACT
    if _may_be_released(world, state):
        return True
    if zombie is None or zombie.holdings or zombie.begin_precision is Precision.LOWER_BOUND:
        return False
    if state.exit_signo == 0:
        return False
    # Nobody was told: it is still on its way (an init waits for its namespace), or
    # it goes by itself in a moment. Where the telling may be lost, time decides.
    return bool(state.led) or not (
        world.losses.any_between(state.exit_ns or 0, None, ("signal",))
        and world.now_ns - zombie.begin_ns >= _SURELY_DEAD_NS
    )


def _may_be_released(world: World, state: ProcessState) -> bool:
    """Whether it may be gone for all that is known: the records of that were lost."""
    losses, since_ns = world.losses, state.seen_until_ns
    is_lost = losses.any_between(since_ns, None, ("free",))
    # With kprobes two records tell of a release, but for that of a main thread that
    # ended first: its last thread releases it without release_task being entered.
    may_be_leader = state.leader_exit_ns is not None or losses.any_between(
        state.born_ns, state.exit_ns, ("exit",)
    )
    if is_lost and world.is_hooked("reap") and not may_be_leader:
        return losses.any_between(since_ns, None, ("reap",))
    return is_lost


def _spells(
    state: ProcessState, until_ns: int
) -> Iterator[tuple[ProcessKey | None, int, SigchldAction]]:
    """Who had to reap it for how long, in order."""
    zombie = state.zombie
    if zombie is None:
        return
    holdings = zombie.holdings
    if not holdings or holdings[0].since_ns > zombie.begin_ns:
        first_until_ns = holdings[0].since_ns if holdings else until_ns
        yield state.original_parent, first_until_ns - zombie.begin_ns, state.parent_sigchld
    ends_ns = [*(holding.since_ns for holding in holdings), until_ns][1:]
    for holding, end_ns in zip(holdings, ends_ns, strict=False):
        yield holding.holder, end_ns - holding.since_ns, holding.sigchld


def _is_tracer(holder: ProcessKey | None, state: ProcessState) -> bool:
    return (
        holder is not None
        and state.tracer_host_pid == holder.host_pid
        and holder != state.snapshot.parent_key
    )


def _is_put_in(world: World, state: ProcessState) -> bool:
    return any(causes.is_put_in(state, scope, world.table) for scope in state.scopes)
