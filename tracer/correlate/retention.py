"""What a trace keeps of what is over: the notable up to a limit, counts of the rest.

A process that is released, or a scope whose last member is, can change no more. What
is uneventful is counted by name and end. What is notable (killed, a zombie for long,
part of a stop) stays in detail; where there is too much of it, of those with one
verdict one stands for the others, and where there are too many verdicts, the least
grave are counted. Everything goes by the order of events, nothing by a clock: a
replay keeps what the live trace kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping

from tracer.correlate import descent
from tracer.correlate.even import even_out
from tracer.correlate.fates import (
    ProcessKind,
    StopKind,
    process_kind,
    process_ledger,
    stop_kind,
    stop_ledger,
    stops_of,
    verdict_of,
    zombie_kind,
    zombie_ledger,
)
from tracer.correlate.ledger import Ledger, Tally
from tracer.correlate.members import count_members, forget_member
from tracer.correlate.process import ProcessState
from tracer.correlate.scope import Scope
from tracer.correlate.stops import MemberCounts, StopState
from tracer.correlate.trace_state import TraceState
from tracer.correlate.zombies import is_worth_naming, release_of, view_zombies_of
from tracer.model.identity import ProcessKey
from tracer.model.report import Finding
from tracer.model.verdicts import Cause, End, StopOutcome

Judge = Callable[[Scope], Iterable[Finding]]

_MOST_PARENTS = 4_096
"""Parents that are over, but have a child whose ancestors may have to be named."""


class Retention:
    """Forgets, in time, what is over.

    Args:
        trace: Everything known so far.
        judge: Finds what was wrong in a scope that is about to be forgotten.
        instants: Those for which verdicts count the zombies that were there.

    Attributes:
        processes: Counts of those forgotten.
        zombies: Counts of those of them that were zombies for long.
        stops: Counts of stops forgotten.
        findings: Findings about them: by code the first of them and how many.
        uneventful: Uneventful processes forgotten.
        forgot_late: One of those forgotten was not seen from its birth.
    """

    def __init__(
        self, trace: TraceState, judge: Judge, instants: Callable[[], tuple[int, ...]]
    ) -> None:
        self._trace = trace
        self._judge = judge
        self._instants = instants
        self._detail = detail = trace.options.detail
        most = max(64, (detail or 0) // 4)
        self.processes = process_ledger(most)
        self.zombies = zombie_ledger(most)
        self.stops = stop_ledger(most)
        self.findings: dict[str, tuple[Finding, int]] = {}
        self.uneventful = 0
        self.forgot_late = False
        self._uneventful: deque[ProcessState] = deque()
        self._most_uneventful = detail
        self._notable: dict[ProcessKey, ProcessState] = {}
        self._notable_full_at = detail
        self._parents: dict[ProcessKey, ProcessState] = {}
        self._over: dict[Scope, None] = {}

    @property
    def most_stops(self) -> int | None:
        """How many stops stay in detail."""
        return most_stops(self._detail)

    def note_passed(self, number: int = 1) -> None:
        """Count uneventful processes of a host that were never kept."""
        self.uneventful += number

    def spare_of(self, number: int) -> int:
        """Of how many ordinary processes that come now only a count will be left.

        Those are the oldest of them: the newest few stay in detail.
        """
        most = self._most_uneventful
        if most is None or most == self._detail:
            return 0
        return max(0, number - most)

    def count_spare(self, counts: Mapping[ProcessKind, Tally]) -> bool:
        """Count ordinary processes that were never kept.

        Returns:
            False where there are too many kinds of them: what is put together then rests
            on their order.
        """
        if not self.processes.has_room_for(counts):
            return False
        for kind, tally in counts.items():
            self.processes.add(kind, tally)
            self.uneventful += tally.count
        return True

    def note_over(self, state: ProcessState) -> None:
        """Take a process that has just been released, or is known to be gone."""
        if self._detail is not None:
            for scope in state.scopes:
                if not scope.present:
                    self._note_scope_over(scope)
        if state.led:
            return
        if stops_of(state) or not self._is_uneventful(state):
            self._notable[state.key] = state
            if self._notable_full_at is not None and len(self._notable) > self._notable_full_at:
                self._thin_out_notable()
        elif not self._trace.options.keep_uneventful:
            self._drop_or_keep(state)
        elif self._most_uneventful is not None:
            self._uneventful.append(state)
            self._thin_out_uneventful()

    def _is_uneventful(self, state: ProcessState) -> bool:
        min_ns = self._trace.options.min_zombie_ns
        reap = release_of(state)
        if reap is None or state.told_zombie_ns(reap) >= min_ns or state.cause is not None:
            return False
        if state.leader_exit_ns is None:
            return True
        # Where a process exits as a whole, its main thread may be the first to go.
        alone_until_ns = state.leader_alone_until_ns
        return alone_until_ns is not None and alone_until_ns - state.leader_exit_ns < min_ns

    def _thin_out_uneventful(self) -> None:
        most = self._most_uneventful
        if most is None or len(self._uneventful) <= most:
            return
        # Beyond the limit, a few of the newest show what they were like.
        self._most_uneventful = (self._detail or 0) // 10
        while len(self._uneventful) > self._most_uneventful:
            self._drop_or_keep(self._uneventful.popleft())

    def _thin_out_notable(self) -> None:
        detail = self._detail or 0
        self._forget_notable_parents(detail)
        instants = self._instants()
        groups: dict[tuple[object, ...], list[ProcessState]] = {}
        for state in self._notable.values():
            if not state.children_kept:
                groups.setdefault(verdict_of(self._trace, state, instants), []).append(state)
        kept, rest = even_out(list(groups.values()), _some_of(detail), _worst_first, _gravity)
        for group, spare in kept:
            first = group[0]
            for state in spare:
                first.stands_for += state.stands_for
                births = (first.stands_since_ns, state.stands_since_ns, state.born_ns)
                first.stands_since_ns = min(one for one in births if one is not None)
                self._forget_notable(state)
        for state in rest:
            self._forget_notable(state)
        self._notable_full_at = max(detail, len(self._notable) + detail // 8)

    def _forget_notable(self, state: ProcessState) -> None:
        if state.children_kept == 0 and self._notable.pop(state.key, None) is not None:
            self._drop(state)

    def _drop_or_keep(self, state: ProcessState) -> None:
        # A parent is kept for as long as a child may have to name its descent.
        if state.children_kept == 0:
            self._drop(state)
            return
        self._parents[state.key] = state
        if len(self._parents) > _MOST_PARENTS:
            self._forget_parents()

    def _forget_parents(self) -> None:
        """Forget the oldest half of the parents kept."""
        self._forget_oldest(self._parents, list(self._parents.values())[: _MOST_PARENTS // 2])

    def _forget_notable_parents(self, detail: int) -> None:
        """Forget the oldest of the notable that have children: a chain of them never ends."""
        parents = [state for state in self._notable.values() if state.children_kept]
        if len(parents) > detail:
            self._forget_oldest(self._notable, parents[: len(parents) - detail // 2])

    def _forget_oldest(
        self, kept: dict[ProcessKey, ProcessState], oldest: list[ProcessState]
    ) -> None:
        """Forget parents, each after noting what its children keep it for."""
        table = self._trace.table
        children: dict[ProcessKey, list[ProcessState]] = {state.key: [] for state in oldest}
        for child in table.each():
            if child.original_parent in children:
                children[child.original_parent].append(child)
        for state in oldest:
            for child in children[state.key]:
                child.came_in = tuple(
                    scope for scope in child.scopes if descent.is_put_in(child, scope, table)
                )
            if kept.pop(state.key, None) is not None:
                self._drop(state)

    def _drop(self, state: ProcessState) -> None:
        table = self._trace.table
        dropped: ProcessState | None = state
        # A process known to be gone whose release is recorded after all comes twice.
        while dropped is not None and table.get(dropped.key) is dropped:
            parent = table.get(dropped.original_parent)
            self._count(dropped)
            for scope, stop in stops_of(dropped):
                forget_member(self._trace, scope, stop, dropped)
            table.forget(dropped)
            dropped = None
            if parent is not None and parent.children_kept == 0:
                dropped = self._parents.pop(parent.key, None)

    def _count(self, state: ProcessState) -> None:
        trace = self._trace
        if self._is_uneventful(state) and not state.led:
            self.uneventful += 1
            if not trace.options.keep_uneventful:
                # Most processes of a host never get here.
                return
        self.forgot_late |= state.is_seen_late
        status = state.status
        end = None if status is None else End.SIGNAL if status.signo is not None else End.EXIT
        release = release_of(state)
        boot_ns = release.boot_ns if release is not None else trace.now_ns
        longest_ns = 0
        for view in view_zombies_of(trace, state):
            if is_worth_naming(trace, view):
                longest_ns = max(longest_ns, view.zombie_ns or 0)
                self.zombies.add_one(zombie_kind(trace, view), boot_ns, view.zombie_ns or 0)
        self.processes.add_one(process_kind(trace, state, end), boot_ns, longest_ns)

    def _note_scope_over(self, scope: Scope) -> None:
        init = self._trace.table.get(scope.init)
        if init is None or release_of(init) is None or scope in self._over:
            return
        self._over[scope] = None
        most = self.most_stops
        if most is None or len(self._over) <= most:
            return
        groups: dict[tuple[object, ...], list[Scope]] = {}
        for one in self._over:
            kinds = tuple(stop_kind(self._trace, one, stop) for stop in one.stops)
            groups.setdefault(kinds, []).append(one)
        kept, rest = even_out(
            list(groups.values()), _some_of(most), self._newest_first, self._stop_gravity
        )
        for spare in (*(spare for _, spare in kept), rest):
            for one in spare:
                self._forget_scope(one)

    def note_stops(self, scope: Scope) -> None:
        """Take a scope that goes on: how many stops it may have survived has a limit."""
        most = self.most_stops
        if most is None or len(scope.stops) <= most:
            return
        over = [stop for stop in scope.stops if stop.is_closed]
        for stop in over[: len(over) - most // 2]:
            count_stop(self.stops, self._trace, scope, stop)
            scope.stops.remove(stop)

    def _newest_first(self, scope: Scope) -> tuple[int, int]:
        return self._stop_gravity(scope), -(scope.stops[-1].begin_ns if scope.stops else 0)

    def _stop_gravity(self, scope: Scope) -> int:
        """How badly its stops went: the smaller the worse."""
        return min(
            (stop_gravity(stop, count_members(self._trace, scope, stop)) for stop in scope.stops),
            default=4,
        )

    def _forget_scope(self, scope: Scope) -> None:
        trace = self._trace
        del self._over[scope]
        for finding in self._judge(scope):
            first, count = self.findings.get(finding.code, (finding, 0))
            self.findings[finding.code] = first, count + 1
        for stop in scope.stops:
            count_stop(self.stops, trace, scope, stop)
        for stop in scope.stops:
            for key in sorted(stop.members):
                state = trace.table.get(key)
                if state is not None:
                    self._forget_notable(state)
            stop.members.clear()
        trace.scopes.forget(scope)
        init = trace.table.get(scope.init)
        if init is not None and all(one not in trace.scopes for one in init.led):
            self._drop_or_keep(init)


def most_stops(detail: int | None) -> int | None:
    """How many stops stay in detail where this many processes do; None = all."""
    return None if detail is None else max(2, detail // 10)


def count_stop(ledger: Ledger[StopKind], trace: TraceState, scope: Scope, stop: StopState) -> None:
    """Count a stop instead of listing it."""
    counts = count_members(trace, scope, stop)
    lasted_ns = stop.end_ns - stop.begin_ns if stop.end_ns is not None else 0
    sums = [
        counts.total, counts.sigkilled, counts.signalled, counts.exited,
        counts.already_zombie, counts.survived,
    ]  # fmt: skip
    end_ns = stop.end_ns if stop.end_ns is not None else trace.now_ns
    ledger.add(stop_kind(trace, scope, stop), Tally(1, lasted_ns, stop.begin_ns, end_ns, sums))


def stop_gravity(stop: StopState, counts: MemberCounts) -> int:
    """How badly a stop went: the smaller the worse."""
    if stop.escalated or stop.outcome is StopOutcome.SURVIVED:
        return 0
    if counts.sigkilled:
        return 1
    return 2 if stop.stop_signal is None and stop.kill is not None else 3


def _some_of(most: int) -> int:
    """To how many to go down from a limit, not to be at it again with the next event."""
    return most - most // 4


def _worst_first(state: ProcessState) -> tuple[int, int]:
    reap = release_of(state)
    lasted_ns = reap.zombie_ns or 0 if reap is not None else 0
    return -lasted_ns, -(reap.boot_ns if reap is not None else 0)


def _gravity(state: ProcessState) -> int:
    if state.cause in (Cause.OOM, Cause.CGROUP_KILL, Cause.KILL, Cause.RUNTIME_KILL):
        return 0
    if state.cause not in (None, Cause.SELF, Cause.STOP_SIGNAL):
        return 1
    return 2 if state.cause is None else 3
