"""``zomtrace -c`` and ``zomtrace stop``: trace what is already there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace

from tracer.model.report import Report
from tracer.session.discovery import ContainerDiscovery
from tracer.session.engine_evidence import observe_engines
from tracer.session.following import Following
from tracer.session.init_watch import InitWatch
from tracer.session.interrupts import Interrupts
from tracer.session.observer import Observer, usual_observers
from tracer.session.recorder import Recorder
from tracer.session.targets import TargetOptions, resolve_target
from tracer.session.trace import Sink, Trace, TraceOptions


def watch(
    target_options: TargetOptions,
    trace_options: TraceOptions,
    sinks: Iterable[Sink],
    *,
    on_idle: Callable[[], float | None] | None = None,
    on_starting: Callable[[], None] | None = None,
    on_attached: Callable[[Trace], None] | None = None,
    allow_kprobes: bool = True,
    recorder: Recorder | None = None,
    on_passed: Callable[[int], object] | None = None,
    follow: bool = False,
    on_notice: Callable[[str], None] = lambda _: None,
) -> Report:
    """Trace until the targets end, a signal comes or the time is up.

    Args:
        target_options: What to trace.
        trace_options: How.
        sinks: Called with every conclusion.
        on_idle: See :class:`tracer.session.trace.Trace`.
        on_starting: Called while the programs compile.
        on_attached: Called once all hooks are live.
        allow_kprobes: False traces by tracepoints alone.
        recorder: Keeps what is seen.
        on_passed: See :class:`tracer.session.trace.Trace`.
        follow: Go on when a container ends, and trace its next run too.
        on_notice: Told in words when it ends and when it is back.

    Raises:
        ZomtraceError: See :func:`tracer.session.targets.resolve_target` and
            :class:`tracer.kernel.source.BpfSource`.
        KeyboardInterrupt: A second SIGINT or SIGTERM came.
    """
    from tracer.containers.resolve import resolve_containers
    from tracer.kernel.source import BpfSource

    everything = target_options.everything
    with ExitStack() as stack:
        source = stack.enter_context(BpfSource(everything=everything, allow_kprobes=allow_kprobes))
        interrupts = stack.enter_context(Interrupts())
        # The programs compile while the target is looked up.
        source.start()
        if on_starting is not None:
            on_starting()
        if recorder is not None:
            recorder.prepare()
        resolved = resolve_target(target_options)
        if resolved.needs_cgroup_v1:
            # The offset of the controller's cgroup is compiled in.
            source.close()
            source = stack.enter_context(
                BpfSource(everything=everything, allow_kprobes=allow_kprobes, cgroup_v1=True)
            )
            source.start()
        observers: list[Observer] = usual_observers()
        discovery = None
        if not resolved.target.containers:
            from tracer.containers.resolve import running_containers

            discovery = stack.enter_context(ContainerDiscovery(running_containers))
            observers.append(discovery)
        trace = Trace(
            source,
            resolved.target,
            sinks,
            replace(trace_options, until_ended=False) if follow else trace_options,
            interrupts,
            on_idle=on_idle,
            observe_at_end=observe_engines,
            recorder=recorder,
            on_passed=on_passed,
            observers=observers,
        )
        inits = stack.enter_context(InitWatch(resolved.target.containers))
        trace.attach()
        if follow:
            stack.enter_context(
                Following(
                    resolved.target.containers,
                    lambda name: resolve_containers([name])[0],
                    on_notice,
                )
            ).serve(trace)
        else:
            inits.begin(trace)
        if discovery is not None:
            discovery.serve(trace)
        if on_attached is not None:
            on_attached(trace)
        return trace.run()
