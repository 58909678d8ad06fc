"""``zomtrace run``: a command traced from birth, stopped as a runtime would."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from tracer.live.callbacks import TraceCallbacks
from tracer.live.interrupts import Interrupts
from tracer.live.namespace import HeldWorkload, find_init
from tracer.live.recorder import Recorder
from tracer.live.sources import SourceOptions, naming_the_other, open_source
from tracer.live.surroundings import check_pid_namespace
from tracer.live.trace import Trace
from tracer.live.trace_options import TraceOptions
from tracer.live.watch import usual_observers
from tracer.model.report import Report
from tracer.model.signals import SIGKILL, SIGTERM
from tracer.model.target import KernelFilter, Target
from tracer.procfs import clock

_LAST_EVENTS_S = 1.0
"""How long the events of its end may take to come after it."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How to run and stop a command.

    Args:
        stop_after_s: Stop it this long after its start; None leaves it alone.
        stop_signo: The stop signal.
        grace_s: From the stop signal to SIGKILL.
        with_init: Put an init program in front as PID 1.
        name: What to call it; the program's name by default.
        environment: Additions to its environment.
    """

    stop_after_s: float | None = None
    stop_signo: int = SIGTERM
    grace_s: float = 10.0
    with_init: bool = False
    name: str | None = None
    environment: Mapping[str, str] | None = None


def run_command(
    command: Sequence[str],
    options: RunOptions,
    trace_options: TraceOptions,
    callbacks: TraceCallbacks,
    *,
    on_held: Callable[[HeldWorkload, Trace, Callable[[], None]], None] | None = None,
    source_options: SourceOptions = SourceOptions(),  # noqa: B008  it is frozen
    recorder: Recorder | None = None,
) -> Report:
    """Run a command as PID 1 of a new PID namespace and trace it.

    SIGINT and SIGTERM begin the stop; a second one ends at once.

    ``on_held`` is called with the workload, the trace and what stops the
    workload, when all hooks are live and the command has not started yet.

    Raises:
        UsageError: The program cannot be run.
        UnavailableError: No namespace, or no BPF.
        PrivilegeError: Not root.
    """
    check_pid_namespace()
    prefix = find_init() if options.with_init else []
    with open_source(source_options, everything=False) as source:
        source.start()
        if callbacks.on_starting is not None:
            callbacks.on_starting()
        if recorder is not None:
            recorder.prepare()
        with (
            Interrupts() as interrupts,
            HeldWorkload(
                [*prefix, *command],
                stop_signo=options.stop_signo,
                grace_s=options.grace_s,
                name=options.name or _basename(command[0]),
                environment=options.environment,
            ) as workload,
        ):
            container = workload.container
            target = Target(
                description=f"run {workload.name}",
                kernel_filter=KernelFilter(pidns_inums=frozenset({container.pidns_inum})),
                containers=(container,),
            )

            def stop() -> None:
                if workload.send(options.stop_signo) and options.stop_signo != SIGKILL:
                    trace.schedule.after(options.grace_s, lambda: workload.send(signal.SIGKILL))

            trace = Trace(
                source,
                target,
                trace_options,
                interrupts,
                replace(callbacks, on_interrupt=stop),
                clock=clock,
                recorder=recorder,
                observers=usual_observers(show_commands=trace_options.show_commands),
            )

            def ended() -> None:
                workload.reap()
                # Its last events end the trace; but they may have been lost.
                trace.schedule.after(_LAST_EVENTS_S, lambda: trace.end("target ended"))

            trace.watch(workload.fileno(), ended)
            with naming_the_other(source_options):
                trace.attach()
            if on_held is not None:
                on_held(workload, trace, stop)
            workload.release()
            if options.stop_after_s is not None:
                trace.schedule.after(options.stop_after_s, stop)
            return trace.run()


def _basename(path: str) -> str:
    return path.rsplit("/", 1)[-1]
