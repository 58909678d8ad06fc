"""``zomtrace zombies``: the zombies there are, put to the containers they are of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tracer.containers.resolve import resolve_containers, running_containers
from tracer.masking.masking import mask_words
from tracer.model.zombie_scan import ZombieScan
from tracer.procfs.zombies import scan_zombies


def scan(
    names: Sequence[str],
    *,
    show_commands: bool = True,
    on_notice: Callable[[str], None] = lambda _: None,
) -> ZombieScan:
    """Find zombies, of the whole host or of the containers named.

    Args:
        names: Containers; none for the whole host.
        show_commands: Keep the command lines of parents, their secrets masked.
        on_notice: See :func:`tracer.containers.resolve.resolve_containers`.

    Raises:
        TargetNotFoundError: A container is not there.
        AmbiguousTargetError: A name fits more than one.
        RuntimeUnreachableError: An engine does not answer.
    """
    # What is printed here ends up in tickets and chats.
    show_words = mask_words if show_commands else _keep_none
    if not names:
        return scan_zombies(running_containers(), show_words=show_words)
    containers = resolve_containers(names, on_notice=on_notice)
    found = scan_zombies(containers, show_words=show_words)
    wanted = {container.id for container in containers}
    return replace(
        found, zombies=tuple(zombie for zombie in found.zombies if zombie.container_id in wanted)
    )


def _keep_none(_: tuple[str, ...]) -> None:
    return None
