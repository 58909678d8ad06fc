"""``zomtrace zombies``: the zombies there are, put to the containers they are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tracer.containers.resolve import resolve_containers, running_containers
from tracer.kernel.zombies import scan_zombies
from tracer.model.zombie_scan import ZombieScan
from tracer.session.masking import mask_words


def scan(names: Sequence[str]) -> ZombieScan:
    """Find zombies, of the whole host or of the containers named.

    Raises:
        TargetNotFoundError: A container is not there.
        AmbiguousTargetError: A name fits more than one.
        RuntimeUnreachableError: An engine does not answer.
    """
    if not names:
        return _without_secrets(scan_zombies(running_containers()))
    containers = resolve_containers(names)
    found = _without_secrets(scan_zombies(containers))
    wanted = {container.id for container in containers}
    return replace(
        found, zombies=tuple(zombie for zombie in found.zombies if zombie.container_id in wanted)
    )


def _without_secrets(found: ZombieScan) -> ZombieScan:
    # What is printed here ends up in tickets and chats.
    return replace(
        found,
        zombies=tuple(
            replace(
                zombie, parent=replace(zombie.parent, cmdline=mask_words(zombie.parent.cmdline))
            )
            if zombie.parent is not None
            else zombie
            for zombie in found.zombies
        ),
    )
