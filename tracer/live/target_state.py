"""What becomes of a target while it is traced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from tracer.correlate.correlator import Correlator
from tracer.model.target import Container, Target


def has_ended(target: Target, correlator: Correlator) -> bool:
    """Whether every container or namespace of a target is gone; False for a host."""
    wanted = target.containers
    ended = correlator.scopes.ended
    return bool(wanted) and all(one.id in ended or is_gone(correlator, one) for one in wanted)


def is_gone(correlator: Correlator, container: Container) -> bool:
    """Whether this run of a container was seen, and nothing of it is left."""
    for scope in correlator.scopes:
        if scope.container is not None and scope.container.is_same_run(container):
            init = correlator.table.get(scope.init)
            return init is not None and init.is_released and not scope.unreleased
    return False


def are_all_known_by_pidns(containers: Iterable[Container]) -> bool:
    """Whether the kernel side knows their members: it does not fold stops by cgroup."""
    return all(container.has_own_pidns for container in containers)


def with_container(
    target: Target, container: Container, *, is_gone: Callable[[Container], bool]
) -> Target:
    """Add a container to a target, in the place of those that are gone.

    The kernel's filter is bounded, and a container that is followed may restart without
    end; namespaces and cgroups that nothing is left of need not be in it.

    Args:
        target: What is traced so far.
        container: The one that comes.
        is_gone: Whether nothing is left of one of the target's.
    """
    gone = tuple(one for one in target.containers if is_gone(one))
    kept = (*(one for one in target.containers if one not in gone), container)
    old_pidns, old_cgroups = _filtered_by(gone)
    new_pidns, new_cgroups = _filtered_by(kept)
    old = target.kernel_filter
    return replace(
        target,
        kernel_filter=replace(
            old,
            pidns_inums=old.pidns_inums - old_pidns | new_pidns,
            cgroup_ids=old.cgroup_ids - old_cgroups | new_cgroups,
        ),
        containers=kept,
    )


def _filtered_by(containers: Sequence[Container]) -> tuple[frozenset[int], frozenset[int]]:
    pidns_inums = {one.pidns_inum for one in containers if one.has_own_pidns}
    cgroup_ids = {one.cgroup_id for one in containers if not one.has_own_pidns} - {None}
    return frozenset(pidns_inums), frozenset(one for one in cgroup_ids if one is not None)
