"""Events in, conclusions out: the core that live traces and replays share.

The correlator does no I/O and knows no clock but the events'. The same events
give the same conclusions, wherever they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from tracer.correlate import births, deaths, signals
from tracer.correlate.losses import LossLedger
from tracer.correlate.scope_table import ScopeTable
from tracer.correlate.shortage import ForkFailures
from tracer.correlate.state import ProcessState
from tracer.correlate.table import ProcessTable
from tracer.correlate.world import CorrelatorOptions, World
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
    ProcessEvent,
    ReapEvent,
    SignalEvent,
    TeardownEvent,
)

__all__ = ["Correlator", "CorrelatorOptions"]


class Correlator:
    """The state of one trace.

    Feed it every event in order of time; ask :mod:`tracer.correlate.summary`
    for the report.

    Attributes:
        options: What a report should count as worth naming.
        world: Everything known so far.
        observations: What was read elsewhere, in order.
        fork_failures: Forks that failed.
        uneventful_exits: Processes forgotten because there is nothing to tell.
        end_reason: Why the trace ended, or None while it goes on.
    """

    def __init__(self, options: CorrelatorOptions | None = None) -> None:
        self.options = options or CorrelatorOptions()
        self.world = World(self.options)
        self.observations: list[ObservationEvent] = []
        self.fork_failures = ForkFailures()
        self.uneventful_exits = 0
        self.end_reason: str | None = None
        world = self.world
        self._handlers: dict[type, Callable[[Any], Annotated | None]] = {
            AttachedEvent: self._on_attached,
            ProcessEvent: partial(births.note_process, world),
            ForkEvent: partial(births.note_fork, world),
            ExecEvent: partial(births.note_exec, world),
            ExitBeginEvent: partial(deaths.note_exit_begin, world),
            ExitEvent: partial(deaths.note_exit, world),
            ReapEvent: self._on_reap,
            SignalEvent: self._on_signal,
            DeliverEvent: partial(signals.note_delivery, world),
            TeardownEvent: partial(deaths.note_teardown, world),
            OomEvent: partial(signals.note_oom, world),
            ForkFailedEvent: self._on_fork_failed,
            ObservationEvent: self._on_observation,
            ContainerEvent: self._on_container,
            LossEvent: self._on_loss,
            EndEvent: self._on_end,
        }

    @property
    def table(self) -> ProcessTable:
        """Every process."""
        return self.world.table

    @property
    def scopes(self) -> ScopeTable:
        """Every container and namespace."""
        return self.world.scopes

    @property
    def losses(self) -> LossLedger:
        """What the picture lacks."""
        return self.world.losses

    @property
    def attached(self) -> AttachedEvent | None:
        """The first event, or None before it."""
        return self.world.attached

    @property
    def begin_ns(self) -> int | None:
        """When tracing began, or None before that."""
        return self.world.begin_ns

    @begin_ns.setter
    def begin_ns(self, boot_ns: int | None) -> None:
        self.world.begin_ns = boot_ns

    @property
    def now_ns(self) -> int:
        """The newest event's time."""
        return self.world.now_ns

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
        self.pass_time(event.boot_ns)
        return self._handlers[type(event)](event)

    def pass_time(self, boot_ns: int) -> None:
        """Let time pass up to an instant, whether or not anything is told of it."""
        world = self.world
        if boot_ns > world.now_ns:  # noqa: PLR1730  a call less, for each record
            world.now_ns = boot_ns
        if world.next_survival_ns is not None and boot_ns >= world.next_survival_ns:
            world.check_survivals(boot_ns)

    def _on_attached(self, event: AttachedEvent) -> Annotated:
        self.world.attached = event
        self.world.begin_ns = event.boot_ns
        for container in event.target.containers:
            self.scopes.add_container(container, self.table)
        return Annotated(event, is_turning_point=True)

    def _on_container(self, event: ContainerEvent) -> Annotated:
        self.scopes.add_container(event.container, self.table)
        return Annotated(event, container=event.container)

    def _on_observation(self, event: ObservationEvent) -> Annotated:
        self.observations.append(event)
        # Seen in /proc as zombies: not released by then, however late that is told.
        for host_pid in event.values.get("zombie_host_pids", ()):
            state = self.table.by_host_pid(host_pid)
            if state is not None and state.exit_ns is not None:
                state.note_presence(event.boot_ns, is_alive=False)
        return Annotated(event)

    def _on_loss(self, event: LossEvent) -> Annotated:
        self.losses.add(event)
        return Annotated(event, is_turning_point=True)

    def _on_end(self, event: EndEvent) -> None:
        self.end_reason = event.reason

    def _on_fork_failed(self, event: ForkFailedEvent) -> Annotated:
        self.fork_failures.add(event)
        state = self.world.meet(event.process, event.boot_ns)
        return self.world.annotate(event, state, is_turning_point=True)

    def _on_signal(self, event: SignalEvent) -> Annotated:
        if event.is_notification:
            return deaths.note_notification(self.world, event)
        return signals.note_signal(self.world, event)

    def _on_reap(self, event: ReapEvent) -> Annotated | None:
        annotated = deaths.note_reap(self.world, event)
        if annotated is not None and not self.options.keep_uneventful:
            self._forget_if_uneventful(self.table.get(event.process.key))
        return annotated

    def _forget_if_uneventful(self, state: ProcessState | None) -> None:
        # A parent is kept for as long as a child may have to name its descent.
        while state is not None and self._is_uneventful(state):
            self.uneventful_exits += 1
            self.table.forget(state)
            state = self.table.get(state.original_parent)

    def _is_uneventful(self, state: ProcessState) -> bool:
        return (
            state.reap is not None
            and (state.reap.zombie_ns or 0) < self.options.min_zombie_ns
            and state.cause is None
            and state.leader_exit_ns is None
            and state.children_kept == 0
            and not state.led
            and not any(
                scope.open_stop is not None or state.key in stop.members
                for scope in state.scopes
                for stop in scope.stops
            )
        )
