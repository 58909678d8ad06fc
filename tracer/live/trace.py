"""A live trace: hooks on, events through the correlator, conclusions out."""

from __future__ import annotations

import platform
import select
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tracer.correlate.correlator import CorrelatorOptions
from tracer.diagnose.held_now import with_holder
from tracer.diagnose.summary import correlate, summarise
from tracer.errors import TargetNotFoundError
from tracer.kernel.heap import give_back_freed_memory
from tracer.live.callbacks import TraceCallbacks
from tracer.live.drain import Dispatcher
from tracer.live.drain_policy import DrainPolicy
from tracer.live.interrupts import Interrupts
from tracer.live.lag import say_lag, say_unread
from tracer.live.observers.group import ObserverGroup
from tracer.live.observers.observer import Observer
from tracer.live.pending_readings import PendingReadings
from tracer.live.record_queue import RecordQueue, Source
from tracer.live.recorder import FLUSH_S, Recorder
from tracer.live.schedule import Schedule
from tracer.live.shortage import Shortage
from tracer.live.target_state import are_all_known_by_pidns, has_ended, is_gone, with_container
from tracer.live.trace_options import TraceOptions
from tracer.model.events import (
    AttachedEvent,
    ContainerEvent,
    EndEvent,
    Event,
    LossEvent,
    ObservationEvent,
)
from tracer.model.report import Report
from tracer.model.syscalls import syscall_name
from tracer.model.target import Container, Target

if TYPE_CHECKING:
    from tracer.capture.event_json import SideEvent
    from tracer.procfs.clock import Clock

_LONG_S = 3600.0
_LINGER_S = 0.12
_SETTLE_S = 0.02
_LAST_S = 5.0
"""How long an end that was asked for may be delayed to work off what was seen by then."""
_ASKED_FOR = frozenset({"interrupted", "duration"})
_TURN_S = 0.1
"""How long events may keep the loop from timers and Ctrl-C: a storm may never end."""


class Trace:
    """One live trace of one target.

    Args:
        source: Not yet attached.
        target: What to trace.
        options: How to trace.
        interrupts: SIGINT and SIGTERM.
        callbacks: What to call while it runs.
        clock: The clock the kernel stamps records with.
        recorder: Keeps everything the correlator is fed, in the same order.
        observers: They read /proc and cgroups during the trace.
    """

    def __init__(
        self,
        source: Source,
        target: Target,
        options: TraceOptions,
        interrupts: Interrupts,
        callbacks: TraceCallbacks,
        *,
        clock: Clock,
        recorder: Recorder | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        # The table of system calls takes its time to load, and the first signal asks for
        # it: the compile child is at work by now.
        syscall_name(0, platform.machine(), is_compat=False)
        self._source = source
        self.target = target
        self._options = options
        self._callbacks = callbacks
        self._interrupts = interrupts
        self._interrupts_answered = 0
        self._tick_s: float | None = 0.0 if callbacks.on_idle is not None else None
        self._recorder = recorder
        self._clock = clock
        self.schedule = Schedule()
        self.correlator = correlate(
            CorrelatorOptions(
                min_zombie_ns=options.min_zombie_ns,
                keep_uneventful=not target.kernel_filter.everything,
                detail=options.detail,
            )
        )
        self._pending = PendingReadings(self._emit_reading)
        self._observers = ObserverGroup(observers, self._pending.add, self._run_short)
        self._queue = RecordQueue(source, clock.boot_now_ns, self._observers.peek)
        feed = self._feed if options.conclude else None
        passed_sink = callbacks.passed_sink if feed is not None else None
        self._drain_policy = DrainPolicy(
            self._queue,
            source,
            is_seen=options.conclude,
            gathers=passed_sink is not None and target.kernel_filter.everything,
        )
        self._dispatcher = Dispatcher(
            self._queue,
            self._drain_policy,
            recorder,
            feed,
            self._pending,
            self._add_lag,
            clock,
            self.correlator if passed_sink is not None else None,
            passed_sink,
        )
        self._watched: dict[int, Callable[[], object]] = {}
        self._followed: dict[int, Callable[[], object]] = {}
        self._poll: select.poll | None = None
        self._attached: AttachedEvent | None = None
        self._end_reason: str | None = None
        self._shortage = Shortage()

    def attach(self) -> None:
        """Switch the hooks on; everything after this is seen.

        Raises:
            TargetNotFoundError: A container of the target ended meanwhile.
        """
        self._source.set_filter(self.target.kernel_filter)
        if (
            self._options.fold
            and self._options.min_zombie_ns
            and are_all_known_by_pidns(self.target.containers)
        ):
            self._source.fold(self._options.min_zombie_ns)
        # Before on_attached is called: what exists now may be over by then.
        readings = self._observers.begin(self.correlator, self.target)
        hooks = self._source.attach()
        boot_ns, utc_offset_ns = self._clock.boot_now_ns(), self._clock.utc_offset_ns()
        # Before the line: a target that is gone by now is an error, not a trace.
        seed = self._source.seed()
        self._queue.identify(seed, self.target.containers)
        # Who reads the line may interrupt, and then wants a report.
        self._interrupts.begin()
        self._attached = AttachedEvent(
            boot_ns=boot_ns,
            utc_offset_ns=utc_offset_ns,
            kernel=platform.release(),
            machine=platform.machine(),
            source=self._source.name,
            hooks=hooks,
            target=self.target,
        )
        self._emit(self._attached)
        for reading in readings:
            self._emit(reading)
        self._queue.add_seed(seed)
        if self._options.duration_s is not None:
            self.schedule.after(self._options.duration_s, lambda: self.end("duration"))

    def add_container(self, container: Container) -> bool:
        """Trace another container too, from now on; those that are gone make room for it.

        Returns:
            False where it has ended already.
        """
        target = with_container(self.target, container, is_gone=partial(is_gone, self.correlator))
        self._source.set_filter(target.kernel_filter)
        if not are_all_known_by_pidns((container,)):
            self._source.fold(None)
        seed = self._source.seed()
        # The start of what exists by now was not seen, but it belongs to the target.
        try:
            self._queue.identify(seed, (container,))
        except TargetNotFoundError:
            return False
        self.target = target
        self._emit(ContainerEvent(self._clock.boot_now_ns(), container))
        self._queue.add_seed(seed)
        return True

    def add_cgroup(self, cgroup_id: int) -> bool:
        """Trace another cgroup too, from now on; False where it is traced already."""
        old = self.target.kernel_filter
        if cgroup_id in old.cgroup_ids:
            return False
        kernel_filter = replace(old, cgroup_ids=old.cgroup_ids | {cgroup_id})
        self._source.set_filter(kernel_filter)
        self.target = replace(self.target, kernel_filter=kernel_filter)
        self._queue.add_seed(self._source.seed())
        return True

    def watch(self, fd: int, action: Callable[[], object]) -> None:
        """Do something once when a descriptor becomes readable."""
        self._watched[fd] = action
        if self._poll is not None:
            self._poll.register(fd, select.POLLIN)

    def follow(self, fd: int, action: Callable[[], object]) -> None:
        """Do something each time a descriptor is readable."""
        self._followed[fd] = action

    def add_event(self, event: SideEvent) -> None:
        """Add an event that does not come from the kernel's hooks."""
        self._emit(event)

    def keep_up(self) -> None:
        """Empty the ring if it fills; for a sink that has to wait for its reader."""
        self._drain_policy.drain_while_waiting()

    @property
    def folded_alive(self) -> int:
        """Living processes that the sinks have got no event for yet."""
        return self._source.folded_alive

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
        with self._shortage.reserved():
            self._loop()
            return self._finish()

    def _loop(self) -> None:
        poll = self._poll = select.poll()
        poll.register(self._source.fileno(), select.POLLIN)
        poll.register(self._interrupts.fileno(), select.POLLIN)
        for fd in (*self._watched, *self._followed):
            poll.register(fd, select.POLLIN)
        self._drain_policy.begin()
        while self._end_reason is None:
            try:
                self._turn(poll)
            except OSError as error:
                self._run_short(error)

    def _turn(self, poll: select.poll) -> None:
        ready = poll.poll(self._timeout_s() * 1000)
        self._drain_policy.drain(has_records=any(fd == self._source.fileno() for fd, _ in ready))
        for fd, _ in ready:
            if fd in self._watched:
                poll.unregister(fd)
                self._watched.pop(fd)()
            elif fd in self._followed:
                self._followed[fd]()
        self._work_off_turn(until_s=time.monotonic() + _TURN_S)
        self.schedule.run_due()
        self._observers.look()
        if self._recorder is not None and self._recorder.tick():
            self._queue.add_seed(self._source.seed())
        if self._interrupts.count > self._interrupts_answered and self._end_reason is None:
            self._interrupts_answered = self._interrupts.count
            self._interrupts.clear()
            self._interrupt()
        if self._options.until_ended and self.target_has_ended():
            self.end("target ended")
        if self._callbacks.on_idle is not None:
            self._tick_s = self._callbacks.on_idle()

    def target_has_ended(self) -> bool:
        """Whether every container or namespace of the target is gone."""
        return has_ended(self.target, self.correlator)

    def raise_shortage(self) -> None:
        """Raise what cut the trace short, once its report is out.

        Raises:
            OSError: No more files could be opened.
        """
        self._shortage.raise_any()

    def _interrupt(self) -> None:
        if self._callbacks.on_interrupt is not None:
            self._callbacks.on_interrupt()
        else:
            self.end("interrupted")

    def _timeout_s(self) -> float:
        if self._queue.has_backlog:
            return 0.0
        timeout = _LONG_S if self._tick_s is None else self._tick_s
        if self._queue.is_holding or self._pending.due_ns is not None:
            timeout = 0.02
        if self._recorder is not None and self._recorder.is_holding:
            timeout = min(timeout, FLUSH_S)
        dues = (
            self.schedule.seconds_left(),
            self._observers.seconds_left,
            self._queue.losses_due_in_s,
        )
        return min([timeout, *(left for left in dues if left is not None)])

    def _work_off_turn(self, *, until_s: float) -> None:
        self._dispatcher.work_off(until_s=until_s)
        if self._queue.losses_due_in_s == 0:
            self._report_losses(self._queue.take_losses())

    def _report_losses(self, lost: LossEvent | None) -> None:
        if lost is not None:
            self._emit(lost)

    def _finish(self) -> Report:
        # The last releases of a namespace trail its end by an RCU grace period
        # where only sched_process_free shows them.
        until_s = time.monotonic() + _LINGER_S
        while time.monotonic() < until_s:
            time.sleep(_SETTLE_S)
            self._drain_policy.drain(has_records=False)
            self._work_off_turn(until_s=until_s)
        # Before the last drain: what happened up to a reading is emitted before it.
        self._observers.finish()
        ended_ns = self._queue.finish()
        self._pending.close(ended_ns)
        # What a storm does from here on was not asked for, nor what is lost of it.
        lost = self._queue.take_losses()
        last_s = time.monotonic() + _LAST_S if self._end_reason in _ASKED_FOR else None
        self._dispatcher.work_off(until_s=last_s, is_last=True)
        unread = self._dispatcher.keep_rest()
        self._report_losses(lost)
        self._add_unread(unread)
        self._dispatcher.note_final_lag()
        observe_at_end = self._callbacks.observe_at_end
        if observe_at_end is not None and self._attached and not self._shortage.has_come:
            for event in observe_at_end(self._attached):
                self._emit(event)
        self._emit(EndEvent(ended_ns, self._end_reason or "ended"))
        give_back_freed_memory()
        return summarise(self.correlator)

    def _add_unread(self, unread: LossEvent | None) -> None:
        if unread is None:
            return
        # A capture has them: there they are not lost.
        self._feed(unread)
        self._callbacks.on_notice(say_unread(unread, self._clock.boot_now_ns()))

    def _emit(self, event: SideEvent) -> None:
        if self._recorder is not None:
            self._recorder.add_event(event)
        if self._options.conclude:
            self._feed(event)

    def _feed(self, event: Event) -> None:
        annotated = self.correlator.feed(event)
        if annotated is not None:
            if type(event) is ObservationEvent:
                annotated = with_holder(self.correlator, annotated)
            for sink in self._callbacks.sinks:
                sink(annotated)
        self._observers.hear(event)

    def _run_short(self, error: OSError) -> None:
        self._shortage.take(error)
        self.end("out of file descriptors")

    def _emit_reading(self, reading: ObservationEvent) -> None:
        if self._recorder is not None:
            self._recorder.pass_until(reading.boot_ns)
        self._emit(reading)

    def _add_lag(self, event: ObservationEvent) -> None:
        self._emit(event)
        self._callbacks.on_notice(say_lag(event))
