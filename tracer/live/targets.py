"""From what the command line names to what the kernel filters by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tracer.errors import UnavailableError, UsageError
from tracer.model.target import Container, KernelFilter, Target

V1_HIERARCHY = "pids"
"""The v1 controller whose cgroup ids the kernel side can filter by."""


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """What the command line named.

    Args:
        containers: Ids, prefixes or names.
        pidns: As ``readlink /proc/PID/ns/pid`` prints them.
        cgroups: Paths of cgroup directories.
        everything: The whole host.
    """

    containers: Sequence[str] = ()
    pidns: Sequence[str] = ()
    cgroups: Sequence[str] = ()
    everything: bool = False


@dataclass(frozen=True, slots=True)
class ResolvedTarget:
    """A target, and which kind of cgroup id its filter holds.

    Args:
        target: The target.
        needs_cgroup_v1: Its cgroup ids are of the v1 ``pids`` hierarchy.
    """

    target: Target
    needs_cgroup_v1: bool


def resolve_target(
    options: TargetOptions, on_notice: Callable[[str], None] = lambda _: None
) -> ResolvedTarget:
    """Find what was named.

    Args:
        options: What the command line named.
        on_notice: See :func:`tracer.containers.resolve.resolve_containers`.

    Raises:
        UsageError: Nothing was named, or the whole host and a part of it.
        TargetNotFoundError: Something named does not exist or does not run.
        AmbiguousTargetError: A name fits more than one container.
        RuntimeUnreachableError: An engine does not answer.
        UnavailableError: A container cannot be distinguished from its neighbours.
    """
    named = bool(options.containers or options.pidns or options.cgroups)
    if options.everything:
        if named:
            raise UsageError("--all cannot be combined with other targets")
        return ResolvedTarget(Target("the whole host", KernelFilter(everything=True)), False)
    if not named:
        raise UsageError(
            "nothing to trace", hint="name a container with -c, or use --pidns, --cgroup or --all"
        )
    from tracer.containers.namespaces import parse_pidns, resolve_pidns
    from tracer.containers.resolve import resolve_containers
    from tracer.procfs.cgroup import resolve_cgroup

    containers: list[Container] = []
    pidns_inums: set[int] = set()
    cgroups: list[tuple[str, int, str]] = []
    for container in (
        resolve_containers(options.containers, on_notice=on_notice) if options.containers else ()
    ):
        containers.append(container)
        if container.has_own_pidns:
            pidns_inums.add(container.pidns_inum)
        else:
            cgroups.append(_cgroup_of(container))
    for text in options.pidns:
        container = resolve_pidns(parse_pidns(text))
        containers.append(container)
        pidns_inums.add(container.pidns_inum)
    for path in options.cgroups:
        found = resolve_cgroup(path)
        cgroups.append((path, found.id, found.hierarchy))
    names = [container.label for container in containers] + list(options.cgroups)
    return ResolvedTarget(
        Target(
            ", ".join(names),
            KernelFilter(
                pidns_inums=frozenset(pidns_inums),
                cgroup_ids=frozenset(cgroup_id for _, cgroup_id, _ in cgroups),
            ),
            tuple(containers),
        ),
        _needs_v1(cgroups),
    )


def _cgroup_of(container: Container) -> tuple[str, int, str]:
    if container.cgroup_id is None or container.cgroup_hierarchy is None:
        raise UnavailableError(
            f"{container.label} shares its PID namespace and has no cgroup of its own",
            hint="its processes cannot be distinguished from its neighbours'; trace the namespace"
            " with --pidns",
        )
    return container.label, container.cgroup_id, container.cgroup_hierarchy


def _needs_v1(cgroups: Sequence[tuple[str, int, str]]) -> bool:
    hierarchies = {hierarchy for _, _, hierarchy in cgroups}
    for label, _, hierarchy in cgroups:
        if hierarchy not in ("v2", V1_HIERARCHY):
            raise UnavailableError(
                f"{label} is identified only by the v1 controller {hierarchy}",
                hint=f"only v2 cgroups and those of the v1 controller {V1_HIERARCHY} can be traced",
            )
    if len(hierarchies) > 1:
        raise UnavailableError(
            "the named cgroups mix v1 and v2, which one trace cannot combine",
            hint="trace them separately",
        )
    return V1_HIERARCHY in hierarchies
