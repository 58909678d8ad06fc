"""``zomtrace -c``: watch containers, namespaces, cgroups or the whole host."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tracer.errors import UsageError
from tracer.model.report import Report
from tracer.model.target import Container, KernelFilter, Target
from tracer.session.interrupts import Interrupts
from tracer.session.trace import Sink, Trace, TraceOptions


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """What the command line named.

    Args:
        containers: Ids, prefixes or names.
        pidns_inums: As ``readlink /proc/PID/ns/pid`` prints them.
        cgroups: Paths of cgroup directories.
        everything: The whole host.
    """

    containers: Sequence[str] = ()
    pidns_inums: Sequence[int] = ()
    cgroups: Sequence[str] = ()
    everything: bool = False


def resolve_target(options: TargetOptions) -> Target:
    """Find what was named.

    Raises:
        UsageError: Nothing was named, or the whole host and a part of it.
        TargetNotFoundError: Something named does not exist or does not run.
        AmbiguousTargetError: A name fits more than one container.
        RuntimeUnreachableError: An engine does not answer.
    """
    named = bool(options.containers or options.pidns_inums or options.cgroups)
    if options.everything:
        if named:
            raise UsageError("--all traces everything: it goes with no other target")
        return Target("the whole host", KernelFilter(everything=True))
    if not named:
        raise UsageError(
            "nothing to trace", hint="name a container with -c, or use --pidns, --cgroup or --all"
        )
    from tracer.containers.namespaces import resolve_cgroup, resolve_pidns
    from tracer.containers.resolve import resolve_containers

    containers: list[Container] = []
    pidns: set[int] = set()
    cgroups: set[int] = set()
    for container in resolve_containers(options.containers) if options.containers else ():
        containers.append(container)
        if container.has_own_pidns:
            pidns.add(container.pidns_inum)
        elif container.cgroup_id is not None:
            cgroups.add(container.cgroup_id)
        else:
            raise UsageError(
                f"{container.label} shares a PID namespace and its cgroup is not known"
            )
    for inum in options.pidns_inums:
        container = resolve_pidns(inum)
        containers.append(container)
        pidns.add(container.pidns_inum)
    for path in options.cgroups:
        cgroups.add(resolve_cgroup(path).cgroup_id)
    names = [c.label for c in containers] + list(options.cgroups)
    return Target(
        ", ".join(names),
        KernelFilter(pidns_inums=frozenset(pidns), cgroup_ids=frozenset(cgroups)),
        tuple(containers),
    )


def watch(
    target_options: TargetOptions,
    trace_options: TraceOptions,
    sinks: Iterable[Sink],
    *,
    on_idle: Callable[[], None] | None = None,
    on_starting: Callable[[], None] | None = None,
    on_attached: Callable[[Trace], None] | None = None,
    allow_kprobes: bool = True,
) -> Report:
    """Trace until the targets end, a signal comes or the time is up.

    Args:
        target_options: What to trace.
        trace_options: How.
        sinks: Called with every conclusion.
        on_idle: Called a few times a second.
        on_starting: Called while the programs compile.
        on_attached: Called once all hooks are live.
        allow_kprobes: False traces by tracepoints alone.
    """
    from tracer.kernel.source import BpfSource

    with BpfSource(
        everything=target_options.everything, allow_kprobes=allow_kprobes
    ) as source, Interrupts() as interrupts:
        # The programs compile while the target is looked up.
        source.start()
        if on_starting is not None:
            on_starting()
        target = resolve_target(target_options)
        trace = Trace(source, target, sinks, trace_options, interrupts, on_idle=on_idle)
        trace.attach()
        if on_attached is not None:
            on_attached(trace)
        return trace.run()
