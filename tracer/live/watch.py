"""``zomtrace -c`` and ``zomtrace stop``: trace what is already there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from tracer.live.callbacks import TraceCallbacks
from tracer.live.cgroup_watch import CgroupWatch
from tracer.live.discovery import ContainerDiscovery
from tracer.live.follow import Following
from tracer.live.init_watch import InitWatch
from tracer.live.interrupts import Interrupts
from tracer.live.observers.cgroup import CgroupEvidence
from tracer.live.observers.engine import observe_engines
from tracer.live.observers.host import HostEvidence
from tracer.live.observers.inits import InitEvidence
from tracer.live.observers.members import MemberEvidence
from tracer.live.observers.observer import Observer
from tracer.live.observers.proc import ProcEvidence
from tracer.live.observers.sender import SenderEvidence
from tracer.live.recorder import Recorder
from tracer.live.sources import SourceOptions, naming_the_other, open_source
from tracer.live.surroundings import check_pid_namespace
from tracer.live.targets import TargetOptions, resolve_target
from tracer.live.trace import Trace
from tracer.live.trace_options import TraceOptions
from tracer.model.report import Report
from tracer.model.target import Target
from tracer.procfs import clock
from tracer.procfs.clock import BootClock


def watch(
    target_options: TargetOptions,
    trace_options: TraceOptions,
    callbacks: TraceCallbacks,
    *,
    on_resolved: Callable[[Target], None] = lambda _: None,
    on_attached: Callable[[Trace], None] | None = None,
    source_options: SourceOptions = SourceOptions(),  # noqa: B008  it is frozen
    recorder: Recorder | None = None,
    follow: bool = False,
) -> Report:
    """Trace until the targets end, a signal comes or the time is up.

    Args:
        target_options: What to trace.
        trace_options: How.
        callbacks: What to call meanwhile.
        on_resolved: Called with the target before anything is traced.
        on_attached: Called once all hooks are live.
        source_options: Where events come from.
        recorder: Keeps what is seen.
        follow: Keep tracing when a container ends or a cgroup is removed, and trace its
            next run too.

    Raises:
        ZomtraceError: See :func:`tracer.live.targets.resolve_target` and
            :func:`tracer.live.sources.open_source`.
        KeyboardInterrupt: A second SIGINT or SIGTERM came.
    """
    from tracer.containers.resolve import find_again

    check_pid_namespace()
    everything = target_options.everything
    with ExitStack() as stack:
        source = open_source(source_options, everything=everything)

        def close() -> None:
            # It may be another one by then.
            source.close()

        stack.callback(close)
        interrupts = stack.enter_context(Interrupts())
        # The programs compile while the target is looked up.
        source.start()
        if callbacks.on_starting is not None:
            callbacks.on_starting()
        if recorder is not None:
            recorder.prepare()
        resolved = resolve_target(target_options, callbacks.on_notice)
        on_resolved(resolved.target)
        if resolved.needs_cgroup_v1:
            # The offset of the controller's cgroup is compiled in.
            source.close()
            source = open_source(source_options, everything=everything, cgroup_v1=True)
            source.start()
        observers = usual_observers(show_commands=trace_options.show_commands)
        discovery = None
        if not resolved.target.containers:
            from tracer.containers.resolve import running_containers

            discovery = stack.enter_context(ContainerDiscovery(running_containers))
            observers.append(discovery)
        trace = Trace(
            source,
            resolved.target,
            replace(trace_options, until_ended=False) if follow else trace_options,
            interrupts,
            replace(
                callbacks,
                observe_at_end=partial(observe_engines, show_commands=trace_options.show_commands),
            ),
            clock=clock,
            recorder=recorder,
            observers=observers,
        )
        inits = stack.enter_context(InitWatch(resolved.target.containers))
        cgroups = CgroupWatch(target_options.cgroups, follow=follow, on_notice=callbacks.on_notice)
        with naming_the_other(source_options):
            trace.attach()
        cgroups.serve(trace)
        if follow and resolved.target.containers:
            stack.enter_context(
                Following(resolved.target.containers, find_again, callbacks.on_notice)
            ).serve(trace)
        elif not follow:
            inits.begin(trace)
        if discovery is not None:
            discovery.serve(trace)
        if on_attached is not None:
            on_attached(trace)
        return trace.run()


def usual_observers(
    boot_clock: BootClock = clock.boot_now_ns, *, show_commands: bool = True
) -> list[Observer]:
    """Those of every live trace; without command lines none are read."""
    observers: list[Observer] = [
        CgroupEvidence(boot_clock),
        HostEvidence(boot_clock),
        ProcEvidence(boot_clock, show_commands=show_commands),
        MemberEvidence(boot_clock),
    ]
    if show_commands:
        observers += [SenderEvidence(boot_clock), InitEvidence(boot_clock)]
    return observers
