"""What the parts of the correlator share: everything known so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from tracer.correlate.losses import LossLedger
from tracer.correlate.oom import OomLedger
from tracer.correlate.process import ProcessState
from tracer.correlate.process_table import ProcessTable
from tracer.correlate.scope import Scope
from tracer.correlate.scope_table import ScopeTable
from tracer.correlate.stops import StopState, StopTrigger
from tracer.model.annotated import Annotated
from tracer.model.events import AttachedEvent, Event
from tracer.model.identity import ProcessSnapshot
from tracer.model.report import DETAIL


@dataclass(frozen=True, slots=True)
class CorrelatorOptions:
    """What a report should count as worth naming.

    Args:
        min_zombie_ns: Shorter zombies are uneventful.
        keep_uneventful: Keep uneventful processes, for as
            long as there are few; else forget each as it is reaped, and do not count it.
        detail: This many exited processes are kept in detail, and a tenth as
            many stops; what is beyond is counted. None keeps all.

    Units:
        min_zombie_ns: ns.
    """

    min_zombie_ns: int = 1_000_000_000
    keep_uneventful: bool = True
    detail: int | None = DETAIL


@dataclass(slots=True)
class TraceState:
    """The state of one trace.

    Args:
        options: What is worth naming.
        table: Every process.
        scopes: Every container and namespace.
        losses: Lost events, and what they may concern.
        oom: What the OOM killer did.
        attached: The first event, or None before it.
        begin_ns: When tracing began.
        now_ns: The newest event's time.
        drops_for_the_dying: This kernel was seen to drop a SIGKILL to a process
            that was dying already: what it delivers is the first one.
        next_survival_ns: When the next stop will have been survived.
    """

    options: CorrelatorOptions
    table: ProcessTable = field(default_factory=ProcessTable)
    scopes: ScopeTable = field(init=False)
    losses: LossLedger = field(default_factory=LossLedger)
    oom: OomLedger = field(default_factory=OomLedger)
    attached: AttachedEvent | None = None
    begin_ns: int | None = None
    now_ns: int = 0
    drops_for_the_dying: bool = False
    next_survival_ns: int | None = None
    _asked: list[Scope] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.scopes = ScopeTable(self.table)

    def track(
        self,
        snapshot: ProcessSnapshot,
        boot_ns: int,
        *,
        is_seeded: bool = False,
        is_born: bool = False,
    ) -> ProcessState:
        """Find the process a record is about, or enter it; take the newer description.

        A process that was not there before tracing, and whose birth was not
        seen, is seen late; unless a cgroup is traced, which can be entered.
        """
        state = self.table.get(snapshot.key)
        if state is None:
            return self._enter(snapshot, boot_ns, is_seeded=is_seeded, is_born=is_born)
        if snapshot.pidns_inum is not None and state.reap is None:
            has_moved = state.snapshot.cgroup_id != snapshot.cgroup_id
            self.table.update(state, snapshot)
            if has_moved and self.scopes.has_shared:
                self.scopes.reconsider(state, None)
        return state

    def _enter(
        self, snapshot: ProcessSnapshot, boot_ns: int, *, is_seeded: bool, is_born: bool
    ) -> ProcessState:
        was_before = self.begin_ns is not None and snapshot.start_boot_ns < self.begin_ns
        state = ProcessState(
            snapshot=snapshot,
            born_ns=boot_ns if is_born else snapshot.start_boot_ns,
            is_seeded=is_seeded or (was_before and not is_born),
            is_seen_late=False,
            original_parent=snapshot.parent_key,
            original_parent_pidns_inum=snapshot.parent_pidns_inum,
        )
        self.table.add(state)
        parent = self.table.get(state.original_parent)
        if snapshot.pidns_inum is not None:
            self.scopes.track(state, parent)
        entered = any(scope.is_shared for scope in state.scopes) or (
            not state.scopes and self._is_by_cgroup()
        )
        state.is_seen_late = not (is_born or state.is_seeded or entered)
        return state

    def _is_by_cgroup(self) -> bool:
        return self.attached is not None and bool(self.attached.target.kernel_filter.cgroup_ids)

    def is_hooked(self, name: str) -> bool | None:
        """Whether something serves a row of the hook plan; None = not known."""
        for hook in self.attached.hooks if self.attached is not None else ():
            if hook.name == name:
                return hook.source is not None
        return None

    def open_stop(
        self, scope: Scope, boot_ns: int, trigger: StopTrigger, assumed_signo: int | None = None
    ) -> StopState:
        """Begin a stop of a scope.

        Args:
            scope: Of what.
            boot_ns: When.
            trigger: By what.
            assumed_signo: The stop signal, where it is not the one that was configured.
        """
        container = scope.container
        grace_s = container.stop_timeout_s if container is not None else None
        stop = StopState(
            begin_ns=boot_ns,
            trigger=trigger,
            stop_signo=assumed_signo if assumed_signo is not None else scope.stop_signo,
            is_assumed=assumed_signo is not None,
            grace_ns=int(grace_s * 1e9) if grace_s is not None else None,
        )
        stop.members = {key for key in scope.present if key != scope.init}
        for earlier in scope.stops:
            if earlier.last_asked_ns is not None:
                stop.after_survived_ns = earlier.last_asked_ns
        scope.stops.append(stop)
        return stop

    def note_asked(self, scope: Scope) -> None:
        """Note that init was sent a stop signal: it may survive it."""
        if scope not in self._asked:
            self._asked.append(scope)
        self._reckon_survival()

    def check_survivals(self, now_ns: int) -> None:
        """Close the stops whose time is up."""
        for scope in list(self._asked):
            stop = scope.open_stop
            at_ns = stop.survives_at_ns if stop is not None else None
            if stop is not None and at_ns is not None and at_ns <= now_ns:
                stop.survive(at_ns)
                if stop.is_assumed:
                    # It was no stop signal after all: a thread dump, a reload.
                    scope.stops.remove(stop)
        self._reckon_survival()

    def end_assumed(self) -> None:
        """Drop what was taken for a stop and had come to nothing when the trace ended."""
        for scope in self.scopes:
            stop = scope.open_stop
            if (
                stop is not None
                and stop.is_assumed
                and stop.kill is None
                and stop.init_exit_ns is None
            ):
                scope.stops.remove(stop)

    def _reckon_survival(self) -> None:
        pending = [
            (scope, at_ns)
            for scope in self._asked
            if (stop := scope.open_stop) is not None and (at_ns := stop.survives_at_ns) is not None
        ]
        self._asked = [scope for scope, _ in pending]
        self.next_survival_ns = min((at_ns for _, at_ns in pending), default=None)

    def annotate(self, event: Event, state: ProcessState | None, **fields: object) -> Annotated:
        """Put an event together with what was concluded about it."""
        container = self.scopes.container_around(state) if state is not None else None
        return Annotated(event, container=container, **fields)  # type: ignore[arg-type]
