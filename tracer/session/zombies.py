"""``zomtrace zombies``: the zombies there are, put to the containers they are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tracer.containers.resolve import resolve_containers, running_containers
from tracer.kernel.zombies import scan_zombies
from tracer.model.zombie_scan import ZombieScan


def scan(names: Sequence[str]) -> ZombieScan:
    """Find zombies, of the whole host or of the containers named.

    Raises:
        TargetNotFoundError: A container is not there.
        AmbiguousTargetError: A name fits more than one.
        RuntimeUnreachableError: An engine does not answer.
    """
    if not names:
        return scan_zombies(running_containers())
    containers = resolve_containers(names)
    found = scan_zombies(containers)
    wanted = {container.id for container in containers}
    return replace(
        found, zombies=tuple(zombie for zombie in found.zombies if zombie.container_id in wanted)
    )
