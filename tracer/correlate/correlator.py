"""Events in, conclusions out: the core that live traces and replays share.

The correlator does no I/O and knows no clock but the events'. The same events
give the same conclusions, wherever they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from tracer.correlate import births, deaths, lifetimes, signals
from tracer.correlate.fork_failures import ForkFailures
from tracer.correlate.losses import LossLedger
from tracer.correlate.observations import FULL, instants_of, thin_out
from tracer.correlate.process_table import ProcessTable
from tracer.correlate.retention import Retention
from tracer.correlate.scope import Scope
from tracer.correlate.scope_table import ScopeTable
from tracer.correlate.trace_state import CorrelatorOptions, TraceState
from tracer.model.annotated import Annotated
from tracer.model.events import (
    PLACED_SOURCES,
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
    LifetimeEvent,
    LossEvent,
    ObservationEvent,
    OomEvent,
    ProcessEvent,
    ReapEvent,
    SignalEvent,
    TeardownEvent,
)
from tracer.model.report import Finding

__all__ = ["Correlator", "CorrelatorOptions"]


_BESIDE = frozenset({ObservationEvent, ContainerEvent, LossEvent})
"""Emitted as soon as it is known, while earlier records may still be to come."""


class Correlator:
    """The state of one trace.

    Feed it every event in order of time; ask :mod:`tracer.diagnose.summary`
    for the report.

    Args:
        options: What a report should count as worth naming, and keep.
        judge: Finds what was wrong in a scope that is about to be forgotten.

    Attributes:
        options: What a report should count as worth naming, and keep.
        trace: Everything known so far.
        observations: What was read elsewhere, in order.
        fork_failures: Forks that failed.
        retention: What became of those that are over.
        end_reason: Why the trace ended, or None while it goes on.
    """

    def __init__(
        self,
        options: CorrelatorOptions | None = None,
        judge: Callable[[Correlator, Scope], Iterable[Finding]] = lambda _, __: (),
    ) -> None:
        self.options = options or CorrelatorOptions()
        self.trace = TraceState(self.options)
        self.observations: list[ObservationEvent] = []
        self.fork_failures = ForkFailures()
        self.end_reason: str | None = None
        trace = self.trace
        self.retention = Retention(
            trace,
            lambda scope: judge(self, scope),
            lambda: instants_of(self.observations, self.fork_failures),
        )
        self._observations_full_at = FULL
        self._handlers: dict[type, Callable[[Any], Annotated | None]] = {
            AttachedEvent: self._on_attached,
            ProcessEvent: partial(births.note_process, trace),
            ForkEvent: self._on_fork,
            ExecEvent: partial(births.note_exec, trace),
            ExitBeginEvent: partial(deaths.note_exit_begin, trace),
            ExitEvent: partial(deaths.note_exit, trace),
            ReapEvent: self._on_reap,
            LifetimeEvent: self._on_lifetime,
            SignalEvent: self._on_signal,
            DeliverEvent: partial(signals.note_delivery, trace),
            TeardownEvent: partial(deaths.note_teardown, trace),
            OomEvent: partial(signals.note_oom, trace),
            ForkFailedEvent: self._on_fork_failed,
            ObservationEvent: self._on_observation,
            ContainerEvent: self._on_container,
            LossEvent: self._on_loss,
            EndEvent: self._on_end,
        }

    @property
    def table(self) -> ProcessTable:
        """Every process."""
        return self.trace.table

    @property
    def scopes(self) -> ScopeTable:
        """Every container and namespace."""
        return self.trace.scopes

    @property
    def uneventful_exits(self) -> int:
        """Processes forgotten because they were uneventful."""
        return self.retention.uneventful

    @property
    def losses(self) -> LossLedger:
        """Lost events, and what they may concern."""
        return self.trace.losses

    @property
    def attached(self) -> AttachedEvent | None:
        """The first event, or None before it."""
        return self.trace.attached

    @property
    def begin_ns(self) -> int | None:
        """When tracing began, or None before that."""
        return self.trace.begin_ns

    @begin_ns.setter
    def begin_ns(self, boot_ns: int | None) -> None:
        self.trace.begin_ns = boot_ns

    @property
    def now_ns(self) -> int:
        """The newest event's time."""
        return self.trace.now_ns

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
        kind = type(event)
        if kind not in _BESIDE or (
            kind is ObservationEvent and event.source in PLACED_SOURCES  # type: ignore[union-attr]
        ):
            self.pass_time(event.boot_ns)
        return self._handlers[kind](event)

    def pass_time(self, boot_ns: int) -> None:
        """Advance to an instant, whether or not there is an event of that time."""
        trace = self.trace
        if boot_ns > trace.now_ns:  # noqa: PLR1730  a call less, for each record
            trace.now_ns = boot_ns
        if trace.next_survival_ns is not None and boot_ns >= trace.next_survival_ns:
            trace.check_survivals(boot_ns)

    def _on_attached(self, event: AttachedEvent) -> Annotated:
        self.trace.attached = event
        self.trace.begin_ns = event.boot_ns
        self.losses.unseen = event.unseen_kinds
        self.scopes.keep_containers(one.id for one in event.target.containers)
        for container in event.target.containers:
            self.scopes.add_container(container, self.table)
        return Annotated(event, is_turning_point=True)

    def _on_container(self, event: ContainerEvent) -> Annotated:
        self.scopes.add_container(event.container, self.table)
        return Annotated(event, container=event.container)

    def _on_observation(self, event: ObservationEvent) -> Annotated:
        self.observations.append(event)
        if event.values.get("reading") == "name" and event.about is not None:
            self.table.note_name(event.about, str(event.values["comm"]))
        if len(self.observations) >= self._observations_full_at:
            self._thin_out_observations()
        # Seen in /proc as zombies: not released by then, however late the record comes.
        for host_pid in event.values.get("zombie_host_pids", ()):
            state = self.table.by_host_pid(host_pid)
            if state is not None and state.exit_ns is not None:
                state.note_presence(event.boot_ns, is_alive=False)
                if event.about == state.original_parent:
                    state.parent_seen_ns = event.boot_ns
        return Annotated(event)

    def _thin_out_observations(self) -> None:
        if self.options.detail is not None:
            self.observations = thin_out(self.observations, self.trace)
        self._observations_full_at = max(FULL, 2 * len(self.observations))

    def _on_loss(self, event: LossEvent) -> Annotated:
        self.losses.add(event)
        return Annotated(event, is_turning_point=True)

    def _on_end(self, event: EndEvent) -> None:
        self.end_reason = event.reason
        self.trace.end_assumed()

    def _on_fork_failed(self, event: ForkFailedEvent) -> Annotated:
        self.fork_failures.add(event)
        state = self.trace.track(event.process, event.boot_ns)
        return self.trace.annotate(event, state, is_turning_point=True)

    def _on_signal(self, event: SignalEvent) -> Annotated:
        if event.is_notification:
            return deaths.note_notification(self.trace, event)
        annotated = signals.note_signal(self.trace, event)
        for scope in self.scopes.led_by(event.process.key):
            self.retention.note_stops(scope)
        return annotated

    def _on_lifetime(self, event: LifetimeEvent) -> Annotated | None:
        if self.table.is_forgotten(event.process.key):
            return None
        if not lifetimes.is_plain(self.trace, event):
            # Earlier events, or what is going on around it, may say more.
            return lifetimes.note_parts(self.trace, event, self._handlers)
        if not self.options.keep_uneventful:
            self.retention.note_passed()
            return lifetimes.pass_lifetime(self.trace, event)
        state = lifetimes.note_lifetime(self.trace, event)
        annotated = lifetimes.annotate(self.trace, event, state)
        self.retention.note_over(state)
        return annotated

    def _on_reap(self, event: ReapEvent) -> Annotated | None:
        if self.table.is_forgotten(event.process.key):
            return None
        annotated = deaths.note_reap(self.trace, event)
        state = self.table.get(event.process.key) if annotated is not None else None
        if state is not None:
            self.retention.note_over(state)
        if self.table.gone:
            self._take_gone()
        return annotated

    def _on_fork(self, event: ForkEvent) -> Annotated:
        annotated = births.note_fork(self.trace, event)
        if self.table.gone:
            self._take_gone()
        return annotated

    def _take_gone(self) -> None:
        gone, self.table.gone = self.table.gone, []
        for state in gone:
            if not state.is_released and self.table.get(state.key) is not None:
                self.scopes.release(state)
                self.retention.note_over(state)
