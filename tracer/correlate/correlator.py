"""Events in, conclusions out: the core that live traces and replays share.

The correlator does no I/O and knows no clock but the events'. The same events
give the same conclusions, wherever they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tracer.correlate import causes
from tracer.correlate.losses import LossLedger
from tracer.correlate.reaps import judge_reap
from tracer.correlate.scopes import Scope, ScopeTable
from tracer.correlate.state import ProcessState, SentSignal, ZombieState
from tracer.correlate.stops import StopState, StopTrigger
from tracer.correlate.table import ProcessTable
from tracer.model.annotated import Annotated
from tracer.model.events import (
    AttachedEvent,
    ContainerEvent,
    DeliverEvent,
    EndEvent,
    Event,
    ExecEvent,
    ExitBeginEvent,
    ExitEvent,
    ForkEvent,
    ForkFailedEvent,
    LossEvent,
    ObservationEvent,
    OomEvent,
    Precision,
    ProcessEvent,
    ReapEvent,
    SigchldAction,
    SignalEvent,
    TeardownEvent,
    TeardownPhase,
)
from tracer.model.identity import ProcessSnapshot
from tracer.model.signals import SIGKILL, Disposition, SignalResult
from tracer.model.verdicts import Cause, StopOutcome

_SIGCHLD_BY_DISPOSITION = {
    Disposition.CAUGHT: SigchldAction.CAUGHT,
    Disposition.DEFAULT: SigchldAction.DEFAULT,
    Disposition.IGNORED: SigchldAction.IGNORED,
    Disposition.BLOCKED: SigchldAction.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class CorrelatorOptions:
    """What a report should count as worth naming.

    Units:
        min_zombie_ns: ns; shorter zombies are ordinary.
    """

    min_zombie_ns: int = 1_000_000_000
    keep_uneventful: bool = True


class Correlator:
    """The state of one trace.

    Feed it every event in order of time; ask :mod:`tracer.correlate.summary`
    for the report.
    """

    def __init__(self, options: CorrelatorOptions | None = None) -> None:
        self.options = options or CorrelatorOptions()
        self.table = ProcessTable()
        self.scopes = ScopeTable()
        self.losses = LossLedger()
        self.attached: AttachedEvent | None = None
        self.observations: list[ObservationEvent] = []
        self.fork_failures: list[ForkFailedEvent] = []
        self.uneventful_exits = 0
        self.begin_ns: int | None = None
        self.end_reason: str | None = None
        self.now_ns = 0
        self._handlers: dict[type, Callable[[Any], Annotated | None]] = {
            AttachedEvent: self._on_attached,
            ProcessEvent: self._on_process,
            ForkEvent: self._on_fork,
            ExecEvent: self._on_exec,
            ExitBeginEvent: self._on_exit_begin,
            ExitEvent: self._on_exit,
            ReapEvent: self._on_reap,
            SignalEvent: self._on_signal,
            DeliverEvent: self._on_deliver,
            TeardownEvent: self._on_teardown,
            OomEvent: self._on_oom,
            ForkFailedEvent: self._on_fork_failed,
            ObservationEvent: self._on_observation,
            ContainerEvent: self._on_container,
            LossEvent: self._on_loss,
            EndEvent: self._on_end,
        }

    def feed_all(self, events: Iterable[Event]) -> Iterator[Annotated]:
        """Feed events, yielding what each one came to."""
        for event in events:
            annotated = self.feed(event)
            if annotated is not None:
                yield annotated

    def feed(self, event: Event) -> Annotated | None:
        """Take one event in.

        Returns:
            The event with what was concluded about it, or None where it says
            nothing new (a second report of one release).
        """
        if event.boot_ns > self.now_ns:
            self.now_ns = event.boot_ns
        for scope in self.scopes.with_open_stops:
            if scope.open_stop is not None and scope.open_stop.check_survival(event.boot_ns):
                self.scopes.stop_closed(scope)
        return self._handlers[type(event)](event)

    # Bookkeeping events.

    def _on_attached(self, event: AttachedEvent) -> Annotated:
        self.attached = event
        self.begin_ns = event.boot_ns
        for container in event.target.containers:
            self.scopes.add_container(container)
        return Annotated(event, is_turning_point=True)

    def _on_container(self, event: ContainerEvent) -> None:
        self.scopes.add_container(event.container)

    def _on_observation(self, event: ObservationEvent) -> Annotated:
        self.observations.append(event)
        return Annotated(event)

    def _on_loss(self, event: LossEvent) -> Annotated:
        self.losses.add(event)
        return Annotated(event, is_turning_point=True)

    def _on_end(self, event: EndEvent) -> None:
        self.end_reason = event.reason

    # Births.

    def _meet(self, snapshot: ProcessSnapshot, boot_ns: int, *, is_seeded: bool = False,
              is_born: bool = False) -> ProcessState:
        state, is_new = self.table.meet(snapshot, boot_ns, is_seeded=is_seeded, is_born=is_born)
        if is_new:
            if snapshot.pidns_inum is not None:
                self.scopes.meet(state)
            for scope in self.scopes.of(snapshot):
                if scope.open_stop is not None and scope.init != state.key:
                    scope.open_stop.members.add(state.key)
        return state

    def _on_process(self, event: ProcessEvent) -> Annotated | None:
        known = self.table.get(event.process.key)
        if known is not None:
            if not known.is_seeded and known.is_seen_late:
                known.is_seeded, known.is_seen_late = True, False
            return None
        state = self._meet(event.process, event.boot_ns, is_seeded=True)
        state.live_threads = event.live_threads
        state.parent_sigchld = event.parent_sigchld
        state.tracer_host_pid = event.tracer_host_pid
        if event.is_zombie:
            if event.live_threads > 0:
                state.leader_exit_ns = event.boot_ns
            else:
                state.exit_ns = event.boot_ns
                state.status = event.status
                state.zombie = ZombieState(event.boot_ns, Precision.LOWER_BOUND)
        return self._annotate(event, event.process)

    def _on_fork(self, event: ForkEvent) -> Annotated:
        self.table.note_actor(event.creator)
        state = self._meet(event.process, event.boot_ns, is_born=True)
        state.exit_signo = event.exit_signo
        return self._annotate(event, event.process)

    def _on_exec(self, event: ExecEvent) -> Annotated:
        state = self._meet(event.process, event.boot_ns)
        # A multi-threaded exec ends the old leader and takes its identity.
        state.leader_exit_ns = None
        state.live_threads = 1
        return self._annotate(event, event.process)

    # Deaths.

    def _on_exit_begin(self, event: ExitBeginEvent) -> None:
        self._meet(event.process, event.boot_ns)

    def _on_exit(self, event: ExitEvent) -> Annotated | None:
        state = self._meet(event.process, event.boot_ns)
        state.live_threads = event.live_threads
        state.exit_signo = event.exit_signo
        state.parent_sigchld = event.parent_sigchld
        state.tracer_host_pid = event.tracer_host_pid
        if event.live_threads > 0:
            state.leader_exit_ns = event.boot_ns
            return None
        if state.exit_ns is not None:
            # Without the tracepoint's group_dead two threads that end at once
            # may both read 0 live threads.
            return None
        state.exit_ns = event.boot_ns
        state.status = event.status
        state.leader_exit_ns = None
        state.zombie = ZombieState(event.boot_ns, Precision.UPPER_BOUND)
        if event.status.signo is not None:
            self._judge_death(state, event.status.signo)
        for scope in self.scopes.led_by(state.key):
            self._init_exited(scope, event)
        is_turning_point = state.cause is not None or bool(self.scopes.led_by(state.key))
        return self._annotate(event, event.process, cause=state.cause,
                              is_turning_point=is_turning_point)

    def _judge_death(self, state: ProcessState, signo: int) -> None:
        state.fatal_signal = causes.pick_fatal_signal(state, signo)
        state.cause = causes.judge_death(state)

    def _init_exited(self, scope: Scope, event: ExitEvent) -> None:
        scope.init_exit_ns = event.boot_ns
        stop = scope.open_stop or self._open_stop(scope, event.boot_ns, StopTrigger.INIT_EXIT)
        stop.init_exit_ns = event.boot_ns
        stop.outcome = StopOutcome.STOPPED

    def _on_reap(self, event: ReapEvent) -> Annotated | None:
        state = self.table.get(event.process.key)
        if state is None:
            state = self._meet(event.process, event.boot_ns)
        if state.is_released:
            return None
        if event.actor is not None:
            self.table.note_actor(event.actor)
        scopes = [s for s in self.scopes.of(state.snapshot)]
        since = state.exit_ns or event.boot_ns
        reap = judge_reap(event, state, scopes, self.table,
                          signals_lost=self.losses.any_since(since, "signal"))
        state.reap = reap
        self.table.release(state)
        for scope in self.scopes.release(state):
            stop = scope.open_stop
            if stop is not None and not scope.unreleased and stop.init_exit_ns is not None:
                stop.end_ns = event.boot_ns
                self.scopes.stop_closed(scope)
        snapshot = state.snapshot
        annotated = self._annotate(
            event, snapshot, zombie_ns=reap.zombie_ns, reap_kind=reap.kind,
            reaper_host_pid=reap.reaper.host_pid if reap.reaper else None,
            reaper_comm=reap.reaper_comm, precision=reap.zombie_precision,
            is_turning_point=(reap.zombie_ns or 0) >= self.options.min_zombie_ns,
        )
        if not self.options.keep_uneventful and self._is_uneventful(state):
            self.uneventful_exits += 1
            self.table.forget(state)
        return annotated

    def _is_uneventful(self, state: ProcessState) -> bool:
        return (
            state.cause is None
            and not state.stop_signals
            and (state.reap is None
                 or (state.reap.zombie_ns or 0) < self.options.min_zombie_ns)
            and not any(True for _ in self.scopes.of(state.snapshot))
        )

    # Signals.

    def _on_signal(self, event: SignalEvent) -> Annotated:
        self.table.note_actor(event.actor)
        if event.is_notification:
            self._note_notification(event)
            return self._annotate(event, event.process, sender_is_user=False)
        state = self.table.get(event.process.key)
        if state is None:
            state = self._meet(event.process, event.boot_ns)
        scope = next(self.scopes.of(state.snapshot), None)
        for led in self.scopes.led_by(state.key):
            self._note_signal_to_init(led, event)
            scope = led
        cause = causes.classify_signal(event, scope)
        if cause is Cause.PIDNS_TEARDOWN:
            state.teardown_signalled = True
        if causes.is_fatal_by_default(event.signo):
            state.fatal_candidates.append(SentSignal(event, cause))
        self._note_stop_signal(state, event, scope)
        by_user = causes.is_sent_by_user(event)
        if by_user and event.actor.key != state.key and self.table.get(event.actor.key):
            state.signalled_from_inside_ns.append(event.boot_ns)
        return self._annotate(
            event, event.process, cause=cause, sender_is_user=by_user,
            is_turning_point=cause is not None and cause is not Cause.SELF
            and event.result is not SignalResult.IGNORED and event.target_live_threads > 0,
        )

    def _note_stop_signal(
        self, state: ProcessState, event: SignalEvent, scope: Scope | None
    ) -> None:
        stop = scope.open_stop if scope is not None else None
        if stop is not None and event.signo == stop.stop_signo and stop.stop_signal is not None:
            state.stop_signals.append((event.boot_ns, event.disposition))

    def _note_notification(self, event: SignalEvent) -> None:
        self.table.note_name(event.process)
        child = self.table.get(event.notified_child) or self.table.by_ns_pid(
            event.process.pidns_inum, event.si_pid
        )
        if child is None or child.exit_ns is None or child.is_released:
            return
        zombie = child.zombie
        if zombie is None or zombie.begin_precision is Precision.UPPER_BOUND:
            zombie = ZombieState(event.boot_ns, Precision.EXACT)
            child.zombie = zombie
        else:
            zombie.renotified_ns = event.boot_ns
        zombie.notified = event.process.key
        zombie.notified_nocldwait = event.parent_nocldwait
        child.parent_sigchld = _SIGCHLD_BY_DISPOSITION[event.disposition]
        for scope in self.scopes.led_by(child.key):
            if scope.init_notified_ns is None:
                scope.init_notified_ns = event.boot_ns

    def _note_signal_to_init(self, scope: Scope, event: SignalEvent) -> None:
        stop = scope.open_stop
        if stop is None:
            trigger = self._trigger_of(scope, event)
            if trigger is None:
                return
            stop = self._open_stop(scope, event.boot_ns, trigger)
        stop.note_signal_to_init(event)

    def _trigger_of(self, scope: Scope, event: SignalEvent) -> StopTrigger | None:
        if event.target_live_threads == 0:
            return None
        if event.signo == SIGKILL:
            if event.result is SignalResult.IGNORED:
                return None
            cause = causes.classify_signal(event, scope)
            return StopTrigger.CGROUP_KILL if cause is Cause.CGROUP_KILL else StopTrigger.SIGKILL
        if event.signo == scope.stop_signo and causes.is_sent_by_user(event):
            if causes.is_from_outside(event, scope):
                return StopTrigger.STOP_SIGNAL
        return None

    def _on_deliver(self, event: DeliverEvent) -> Annotated:
        self._meet(event.process, event.boot_ns)
        return self._annotate(event, event.process)

    def _on_oom(self, event: OomEvent) -> Annotated:
        self.table.note_actor(event.actor)
        state = self.table.get(event.process.key)
        if state is None:
            state = self.table.by_host_pid(event.process.host_pid)
        if state is None:
            state = self._meet(event.process, event.boot_ns)
        if state.oom_ns is None:
            state.oom_ns = event.boot_ns
        for scope in self.scopes.led_by(state.key):
            stop = scope.open_stop
            if stop is not None and stop.trigger is StopTrigger.SIGKILL:
                stop.trigger = StopTrigger.OOM
        if state.status is not None and state.status.signo is not None:
            self._judge_death(state, state.status.signo)
        return self._annotate(event, state.snapshot, cause=Cause.OOM, is_turning_point=True)

    def _on_teardown(self, event: TeardownEvent) -> Annotated:
        state = self._meet(event.process, event.boot_ns)
        for scope in self.scopes.led_by(state.key):
            if event.phase is TeardownPhase.BEGIN:
                scope.teardown_begin_ns = event.boot_ns
            else:
                scope.teardown_end_ns = event.boot_ns
        return self._annotate(event, event.process, is_turning_point=True)

    def _on_fork_failed(self, event: ForkFailedEvent) -> Annotated:
        self.fork_failures.append(event)
        return self._annotate(event, event.process, is_turning_point=True)

    # Shared.

    def _open_stop(self, scope: Scope, boot_ns: int, trigger: StopTrigger) -> StopState:
        stop = StopState(begin_ns=boot_ns, trigger=trigger, stop_signo=scope.stop_signo)
        stop.members = {key for key in scope.unreleased if key != scope.init}
        scope.stops.append(stop)
        self.scopes.stop_opened(scope)
        return stop

    def _annotate(self, event: Event, subject: ProcessSnapshot, **fields: Any) -> Annotated:
        return Annotated(event, container=self.scopes.container_of(subject), **fields)
