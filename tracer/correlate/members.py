"""How the members of a stop ended, each counted once."""

from __future__ import annotations

from dataclasses import dataclass

from tracer.correlate.scopes import Scope
from tracer.correlate.state import ProcessState
from tracer.correlate.stops import StopState, StopTrigger
from tracer.correlate.world import World
from tracer.correlate.zombies import release_of
from tracer.model.signals import SIGKILL


@dataclass(slots=True)
class MemberCounts:
    """How a stop's members ended; each in exactly one."""

    sigkilled: int = 0
    signalled: int = 0
    exited: int = 0
    already_zombie: int = 0
    survived: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.sigkilled + self.signalled + self.exited + self.already_zombie + self.survived


def count_members(world: World, scope: Scope, stop: StopState) -> MemberCounts:
    """Count a stop's members by their fate.

    Who was gone before it began is none. Whose end may be among what was lost is
    left out: the counts are lower bounds then.
    """
    counts = MemberCounts()
    # zap_pid_ns_processes() comes right behind such a begin, and signals all there are.
    would_show = (
        stop.trigger is StopTrigger.INIT_EXIT
        and not scope.is_shared
        and (scope.zap_ns is not None or scope.init_notified_ns is not None)
        and not world.losses.any_between(stop.begin_ns, stop.end_ns, ("signal",))
    )
    until_ns = stop.end_ns if stop.end_ns is not None else world.now_ns
    for key in stop.members:
        state = world.table.get(key)
        if state is None:
            continue
        if not state.was_released_before(stop.begin_ns, would_show=would_show):
            _count(counts, world, state, stop.begin_ns, until_ns)
    return counts


def _count(
    counts: MemberCounts, world: World, state: ProcessState, begin_ns: int, until_ns: int
) -> None:
    if state.exit_ns is None:
        if not may_have_ended(world, state):
            counts.survived += 1
    elif state.exit_ns <= begin_ns:
        counts.already_zombie += 1
    elif state.exit_ns > until_ns:
        counts.survived += 1
    elif state.status is None:
        return
    elif state.status.signo == SIGKILL:
        counts.sigkilled += 1
    elif state.status.signo is not None:
        counts.signalled += 1
    else:
        counts.exited += 1


def may_have_ended(world: World, state: ProcessState) -> bool:
    """Whether a process that was not seen to end may have, or has."""
    return release_of(state) is not None or world.losses.any_between(
        state.alive_until_ns, None, ("exit",)
    )
