"""Processes that appear: there before, forked, or running another program."""

from __future__ import annotations

from tracer.correlate.deaths import init_ended
from tracer.correlate.process import ZombieState
from tracer.correlate.trace_state import TraceState
from tracer.model.annotated import Annotated
from tracer.model.events import ExecEvent, ForkEvent, Precision, ProcessEvent
from tracer.model.signals import SIGCHLD
from tracer.model.verdicts import Cause


def note_process(trace: TraceState, event: ProcessEvent) -> Annotated | None:
    """Enter a process that was there before tracing began.

    The ring may have had it first: then this only proves that it exists.
    """
    known = trace.table.get(event.process.key)
    if known is not None:
        known.note_presence(event.boot_ns, is_alive=event.live_threads > 0)
        known.is_seen_late = False
        return None
    state = trace.track(event.process, event.boot_ns, is_seeded=True)
    state.note_presence(event.boot_ns, is_alive=event.live_threads > 0)
    state.live_threads = event.live_threads
    state.parent_sigchld = event.parent_sigchld
    state.tracer_host_pid = event.tracer_host_pid
    if event.is_zombie and event.live_threads > 0:
        state.leader_exit_ns = event.boot_ns
        state.is_leader_exit_bound = True
    elif event.is_zombie:
        state.exit_ns = event.boot_ns
        state.status = event.status
        if event.status is not None and event.status.signo is not None:
            # Of a signal that was sent before tracing began.
            state.cause = Cause.UNKNOWN
        state.zombie = ZombieState(event.boot_ns, Precision.LOWER_BOUND)
        if state.original_parent is not None and event.tracer_host_pid is None:
            trace.table.pass_to(state, state.original_parent, None)
        for scope in state.led:
            scope.init_exit_ns = scope.init_notified_ns = event.boot_ns
    elif event.live_threads == 0:
        # On its way out, which may be long: an init waits for its namespace.
        state.exit_ns = event.boot_ns
        state.is_exit_bound = True
        for scope in state.led:
            init_ended(trace, scope, event.boot_ns)
            if not scope.is_shared:
                scope.zap_ns, scope.is_zap_bound = event.boot_ns, True
    return trace.annotate(event, state)


def note_fork(trace: TraceState, event: ForkEvent) -> Annotated:
    """Enter a birth."""
    trace.table.note_actor(event.creator)
    state = trace.track(event.process, event.boot_ns, is_born=True)
    state.exit_signo = event.exit_signo
    state.note_presence(event.boot_ns, is_alive=True)
    return trace.annotate(event, state)


def note_exec(trace: TraceState, event: ExecEvent) -> Annotated:
    """Enter that a process runs another program."""
    state = trace.track(event.process, event.boot_ns)
    state.note_presence(event.boot_ns, is_alive=True)
    if state.program_ns is None:
        state.program_ns = event.boot_ns
    state.executed_ns = event.boot_ns
    if state.exit_ns is None:
        # The thread that calls exec ends the others, the leader too, and takes
        # the leader's place (de_thread).
        state.leader_exit_ns = None
        state.live_threads = 1
        state.exit_signo = SIGCHLD
        state.suspects.forget_handlers()
    return trace.annotate(event, state)
