"""A live trace: hooks on, events through the correlator, conclusions out."""

from __future__ import annotations

import platform
import select
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tracer.correlate.correlator import Correlator, CorrelatorOptions
from tracer.correlate.summary import summarise
from tracer.errors import TargetNotFoundError
from tracer.model.annotated import Annotated
from tracer.model.events import (
    AttachedEvent,
    ContainerEvent,
    EndEvent,
    Event,
    LossEvent,
    ObservationEvent,
)
from tracer.model.report import Report
from tracer.model.target import Container, Target
from tracer.session.feeding import Feeding
from tracer.session.gathering import Gathering
from tracer.session.intake import Intake, Source
from tracer.session.interrupts import Interrupts
from tracer.session.observer import Listener, Observer, Rounds
from tracer.session.recorder import FLUSH_S, Recorder
from tracer.session.schedule import Schedule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tracer.session.live_sieve import LiveSieve
    from tracer.wire.event_json import SideEvent

_LONG_S = 3600.0
_LINGER_S = 0.12
_SETTLE_S = 0.02
_TURN_S = 0.1
"""How long events may keep the loop from its clock and from Ctrl-C: a storm never ends."""


Sink = Callable[[Annotated], None]


@dataclass(frozen=True, slots=True)
class TraceOptions:
    """How to trace.

    Args:
        min_zombie_ns: Zombies shorter than this are ordinary.
        duration_s: End after so long, or None.
        until_ended: End once every container of the target has.
        conclude: Decode and correlate what is seen; without it the trace only
            keeps records, at a fraction of the cost.
    """

    min_zombie_ns: int = 1_000_000_000
    duration_s: float | None = None
    until_ended: bool = True
    conclude: bool = True


class Trace:
    """One live trace of one target.

    Args:
        source: Not yet attached.
        target: What to trace.
        sinks: Called with every conclusion, in order of time (with ``on_passed``: but
            for those of lives that looked ordinary, up to two seconds later).
        on_idle: Called when the sinks have been given all there was; says after
            how many seconds to call it again though nothing happened, or None.
        on_interrupt: Called on the first SIGINT or SIGTERM; ends the trace
            unless given.
        observe_at_end: Asked once the trace is over for what others know of
            it (an engine's events): evidence beside the kernel's.
        recorder: Keeps everything the correlator is fed, in the same order.
        on_passed: Told how many lives on a host were passed over because there is
            nothing to tell of them: the sinks do not get their events. Without
            it they get every event.
        observers: Who reads /proc and cgroups beside it.
    """

    def __init__(
        self,
        source: Source,
        target: Target,
        sinks: Iterable[Sink],
        options: TraceOptions,
        interrupts: Interrupts,
        on_idle: Callable[[], float | None] | None = None,
        on_interrupt: Callable[[], None] | None = None,
        observe_at_end: Callable[[AttachedEvent], Iterable[ObservationEvent]] | None = None,
        recorder: Recorder | None = None,
        on_passed: Callable[[int], object] | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        # numpy takes its time to import: the compile child is at work by now.
        from tracer.kernel import clock

        self._source = source
        self.target = target
        self._sinks = tuple(sinks)
        self._options = options
        self._interrupts = interrupts
        self._interrupts_answered = 0
        self._on_idle = on_idle
        self._tick_s: float | None = 0.0 if on_idle is not None else None
        self._on_interrupt = on_interrupt or (lambda: self.end("interrupted"))
        self._observe_at_end = observe_at_end
        self._recorder = recorder
        self._observers = observers
        self._rounds = Rounds(observers)
        self._listeners: dict[type, list[Listener]] = {}
        for observer in observers:
            for kind, listener in observer.listeners().items():
                self._listeners.setdefault(kind, []).append(listener)
        self._clock = clock
        self.schedule = Schedule()
        self.correlator = Correlator(
            CorrelatorOptions(
                min_zombie_ns=options.min_zombie_ns,
                keep_uneventful=not target.kernel_filter.everything,
            )
        )
        sieve: LiveSieve | None = None
        if on_passed is not None and options.conclude and target.kernel_filter.everything:
            from tracer.session.live_sieve import LiveSieve

            sieve = LiveSieve(self.correlator, on_passed)
        self._intake = Intake(source, clock.boot_now_ns, self._show_to_observers)
        self._feeding = Feeding(
            self._intake, recorder, self._feed if options.conclude else None, sieve
        )
        self._watched: dict[int, Callable[[], object]] = {}
        self._followed: dict[int, Callable[[], object]] = {}
        self._poll: select.poll | None = None
        self._attached: AttachedEvent | None = None
        self._end_reason: str | None = None

    def attach(self) -> None:
        """Switch the hooks on; everything after this is seen.

        Raises:
            TargetNotFoundError: A container of the target ended meanwhile.
        """
        self._source.set_filter(self.target.kernel_filter)
        # Before anybody is told to go on: what is there now may be over then.
        readings = [
            reading
            for observer in self._observers
            for reading in observer.begin(self.correlator, self.target)
        ]
        hooks = self._source.attach()
        boot_ns, utc_offset_ns = self._clock.boot_now_ns(), self._clock.utc_offset_ns()
        # Before the line: a target that is gone by now is an error, not a trace.
        seed = self._source.seed()
        self._intake.identify(seed, self.target.containers)
        self._attached = AttachedEvent(
            boot_ns=boot_ns,
            utc_offset_ns=utc_offset_ns,
            kernel=platform.release(),
            machine=platform.machine(),
            source="bpf",
            hooks=hooks,
            target=self.target,
        )
        self._emit(self._attached)
        self._emit_all(readings)
        self._intake.add_seed(seed)
        if self._options.duration_s is not None:
            self.schedule.after(self._options.duration_s, lambda: self.end("duration"))

    def add_container(self, container: Container) -> bool:
        """Trace another container too, from now on.

        Returns:
            False where it has ended already.
        """
        old = self.target.kernel_filter
        pidns_inums, cgroup_ids = old.pidns_inums, old.cgroup_ids
        if container.has_own_pidns:
            pidns_inums |= {container.pidns_inum}
        elif container.cgroup_id is not None:
            cgroup_ids |= {container.cgroup_id}
        kernel_filter = replace(old, pidns_inums=pidns_inums, cgroup_ids=cgroup_ids)
        self._source.set_filter(kernel_filter)
        seed = self._source.seed()
        # What is there by now was not seen to begin, and is no stranger either.
        try:
            self._intake.identify(seed, (container,))
        except TargetNotFoundError:
            return False
        self.target = replace(
            self.target,
            kernel_filter=kernel_filter,
            containers=(*self.target.containers, container),
        )
        self._emit(ContainerEvent(self._clock.boot_now_ns(), container))
        self._intake.add_seed(seed)
        return True

    def watch(self, fd: int, action: Callable[[], object]) -> None:
        """Do something once when a descriptor becomes readable."""
        self._watched[fd] = action
        if self._poll is not None:
            self._poll.register(fd, select.POLLIN)

    def follow(self, fd: int, action: Callable[[], object]) -> None:
        """Do something each time a descriptor is readable."""
        self._followed[fd] = action

    def tell(self, event: SideEvent) -> None:
        """Add what was learnt elsewhere to what the hooks tell."""
        self._emit(event)

    def keep_up(self) -> None:
        """Empty the ring if it fills; for a sink that has to wait for somebody."""
        self._intake.stow_if_filling()

    def end(self, reason: str) -> None:
        """End the trace at the next turn of the loop."""
        if self._end_reason is None:
            self._end_reason = reason

    def run(self) -> Report:
        """Trace until it is over and conclude.

        Raises:
            KeyboardInterrupt: A second SIGINT or SIGTERM came.
            BrokenPipeError: A sink's reader went away.
        """
        poll = self._poll = select.poll()
        poll.register(self._source.fileno(), select.POLLIN)
        poll.register(self._interrupts.fileno(), select.POLLIN)
        for fd in (*self._watched, *self._followed):
            poll.register(fd, select.POLLIN)
        gathering = Gathering(
            self._intake, self._source.fileno(), self._feeding, is_seen=self._options.conclude
        )
        while self._end_reason is None:
            ready = poll.poll(self._timeout_s() * 1000)
            has_records = any(fd == self._source.fileno() for fd, _ in ready)
            if not has_records or self._intake.has_backlog:
                self._intake.pull()
            else:
                gathering.gather()
            for fd, _ in ready:
                if fd in self._watched:
                    poll.unregister(fd)
                    self._watched.pop(fd)()
                elif fd in self._followed:
                    self._followed[fd]()
            self._work_off_turn(until_s=time.monotonic() + _TURN_S)
            self.schedule.run_due()
            for observer in self._rounds.take_due():
                self._emit_all(observer.look())
            if self._recorder is not None and self._recorder.tick():
                self._intake.add_seed(self._source.seed())
            if self._interrupts.count > self._interrupts_answered and self._end_reason is None:
                self._interrupts_answered = self._interrupts.count
                self._interrupts.clear()
                self._on_interrupt()
            if self._options.until_ended and self.target_has_ended():
                self.end("target ended")
            if self._on_idle is not None:
                self._tick_s = self._on_idle()
        return self._finish()

    def target_has_ended(self) -> bool:
        """Whether every container or namespace of the target is gone."""
        wanted = self.target.containers
        if not wanted:
            return False
        gone = 0
        for container in wanted:
            for scope in self.correlator.scopes:
                if scope.container is not None and scope.container.id == container.id:
                    init = self.correlator.table.get(scope.init)
                    gone += init is not None and init.is_released and not scope.unreleased
        return gone >= len(wanted)

    def _timeout_s(self) -> float:
        if self._intake.has_backlog:
            return 0.0
        timeout = _LONG_S if self._tick_s is None else self._tick_s
        if self._intake.is_holding:
            timeout = 0.02
        if self._recorder is not None and self._recorder.is_holding:
            timeout = min(timeout, FLUSH_S)
        dues = (
            self.schedule.seconds_left(),
            self._rounds.seconds_left(),
            self._intake.losses_due_in_s,
            self._feeding.held_due_in_s,
        )
        return min([timeout, *(left for left in dues if left is not None)])

    def _work_off_turn(self, *, until_s: float) -> None:
        self._feeding.work_off(until_s=until_s)
        if self._intake.losses_due_in_s == 0:
            self._report_losses(self._intake.take_losses())

    def _show_to_observers(self, records: npt.NDArray[np.void]) -> None:
        for observer in self._observers:
            self._emit_all(observer.peek(records))

    def _report_losses(self, lost: LossEvent | None) -> None:
        if lost is not None:
            self._emit(lost)

    def _finish(self) -> Report:
        # The last releases of a namespace trail its end by an RCU grace period
        # where only sched_process_free tells them.
        until_s = time.monotonic() + _LINGER_S
        while time.monotonic() < until_s:
            time.sleep(_SETTLE_S)
            self._intake.pull()
            self._work_off_turn(until_s=until_s)
        self._intake.finish()
        # What a storm does from here on was not asked for, nor what is lost of it.
        lost = self._intake.take_losses()
        self._feeding.work_off(until_s=None)
        self._feeding.feed_held()
        self._report_losses(lost)
        for observer in self._observers:
            self._emit_all(observer.finish())
        if self._observe_at_end is not None and self._attached is not None:
            self._emit_all(self._observe_at_end(self._attached))
        self._emit(EndEvent(self._clock.boot_now_ns(), self._end_reason or "ended"))
        return summarise(self.correlator)

    def _emit(self, event: SideEvent) -> None:
        if isinstance(event, ContainerEvent):
            # Who is in it is asked of those that are known.
            self._feeding.feed_held()
        if self._recorder is not None:
            self._recorder.add_event(event)
        if self._options.conclude:
            self._feed(event)

    def _feed(self, event: Event) -> None:
        annotated = self.correlator.feed(event)
        if annotated is not None:
            for sink in self._sinks:
                sink(annotated)
        for listener in self._listeners.get(type(event), ()):
            self._emit_all(listener(event))

    def _emit_all(self, observations: Iterable[ObservationEvent]) -> None:
        for observation in observations:
            self._emit(observation)
