"""``zomtrace run``: a command traced from birth, stopped as a runtime would."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tracer.model.report import Report
from tracer.model.signals import SIGKILL, SIGTERM
from tracer.model.target import KernelFilter, Target
from tracer.session.interrupts import Interrupts
from tracer.session.observer import usual_observers
from tracer.session.recorder import Recorder
from tracer.session.trace import Sink, Trace, TraceOptions
from tracer.session.workload import HeldWorkload, find_init

_LAST_EVENTS_S = 1.0
"""How long the events of its end may take to come after it."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How to run and stop a command.

    Args:
        stop_after_s: Stop it so long after its start; None leaves it alone.
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
    sinks: Iterable[Sink],
    *,
    on_idle: Callable[[], float | None] | None = None,
    on_starting: Callable[[], None] | None = None,
    on_held: Callable[[HeldWorkload, Trace, Callable[[], None]], None] | None = None,
    allow_kprobes: bool = True,
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
    from tracer.kernel.source import BpfSource

    prefix = find_init() if options.with_init else []
    with BpfSource(everything=False, allow_kprobes=allow_kprobes) as source:
        source.start()
        if on_starting is not None:
            on_starting()
        if recorder is not None:
            recorder.prepare()
        with (
            Interrupts() as interrupts,
            HeldWorkload(
                [*prefix, *command],
                stop_signo=options.stop_signo,
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
                sinks,
                trace_options,
                interrupts,
                on_idle=on_idle,
                on_interrupt=stop,
                recorder=recorder,
                observers=usual_observers(),
            )

            def ended() -> None:
                workload.reap()
                # Its last events end the trace; but they may have been lost.
                trace.schedule.after(_LAST_EVENTS_S, lambda: trace.end("target ended"))

            trace.watch(workload.fileno(), ended)
            trace.attach()
            if on_held is not None:
                on_held(workload, trace, stop)
            workload.release()
            if options.stop_after_s is not None:
                trace.schedule.after(options.stop_after_s, stop)
            return trace.run()


def _basename(path: str) -> str:
    return path.rsplit("/", 1)[-1]
