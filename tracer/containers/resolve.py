"""From what people call a container to the container."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tracer.containers.containerd import find_containerd_tasks
from tracer.containers.engine_sockets import probe_engines
from tracer.containers.found import FoundContainer, UnreachableEngine, merge_found
from tracer.containers.init_process import is_running, read_container
from tracer.containers.oci import find_oci_containers, find_stopped_podman
from tracer.containers.paths import RuntimePaths
from tracer.errors import (
    AmbiguousTargetError,
    PrivilegeError,
    RuntimeUnreachableError,
    TargetNotFoundError,
    UsageError,
    ZomtraceError,
)
from tracer.model.target import Container

if TYPE_CHECKING:
    from tracer.containers.docker import DockerEngine

MIN_PREFIX = 3
"""A shorter prefix of an id finds nothing: a mistyped name would too often."""
_NAME = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]{0,254}")
"""What all runtimes together allow in ids and names (runc: the most)."""
_LISTED = 5


def resolve_containers(
    names: Sequence[str], paths: RuntimePaths | None = None
) -> tuple[Container, ...]:
    """Find running containers by id, unambiguous prefix of an id, or name.

    An exact id goes before an exact name, that before a prefix. Every runtime on
    the host is asked; a container that several of them know is found once, as
    the highest level's.

    Args:
        names: What the user calls them. Never used as a path.
        paths: Where to look; this host's conventions unless given.

    Returns:
        The containers, in the order asked for, each once.

    Raises:
        UsageError: Such a name no container can have.
        TargetNotFoundError: There is no such container, or it does not run.
        AmbiguousTargetError: Several answer to the name.
        RuntimeUnreachableError: Not found, but an engine could not be asked.
        PrivilegeError: We may not look at the container's init.
    """
    for name in names:
        _check_name(name)
    survey = _Survey(paths or RuntimePaths.of_host())
    chosen: dict[str, FoundContainer] = {}
    for name in names:
        found = survey.choose(name)
        chosen.setdefault(found.id, found)
    return tuple(read_container(survey.complete(found)) for found in chosen.values())


def running_containers(paths: RuntimePaths | None = None) -> tuple[Container, ...]:
    """List every running container of every runtime that can be asked."""
    survey = _Survey(paths or RuntimePaths.of_host())
    containers = []
    for found in survey.running:
        try:
            containers.append(read_container(survey.complete(found)))
        except (TargetNotFoundError, RuntimeUnreachableError, PrivilegeError):
            # It ended meanwhile, its engine did, or it is not for us to see.
            continue
    return tuple(containers)


class _Survey:
    """What all runtimes of the host tell, asked once."""

    def __init__(self, paths: RuntimePaths) -> None:
        self._paths = paths
        self._engines: dict[str, DockerEngine] = {}
        self.unreachable: list[UnreachableEngine] = []
        found = self._ask_engines(paths)
        for containerd in paths.containerds:
            found += find_containerd_tasks(containerd.state_dir, containerd.socket)
        for root in paths.oci_roots:
            found += find_oci_containers(root.path, root.owner_uid)
        merged = merge_found(found)
        # Docker's listing has no pid but says what runs; of the rest /proc tells.
        self.running = [one for one in merged if one.runtime == "docker" or is_running(one)]
        self._dead = [one for one in merged if one not in self.running]

    def choose(self, name: str) -> FoundContainer:
        """Pick the one running container that answers to a name."""
        matches = _match(name, self.running)
        if len(matches) > 1:
            raise AmbiguousTargetError(
                f"{len(matches)} containers answer to {name!r}: {_enumerate(matches)}",
                hint="give more of the id",
            )
        if not matches:
            raise self._not_found(name)
        return matches[0]

    def complete(self, found: FoundContainer) -> FoundContainer:
        """Add what only inspecting a container tells."""
        engine = self._engines.get(found.engine_address)
        if engine is None:
            return found
        inspected = engine.inspect(found.id)
        if inspected.init_host_pid is None:
            return inspected
        # The exact start of init, which Docker does not tell, if it is still that one.
        return merge_found([inspected, found])[0]

    def _not_found(self, name: str) -> ZomtraceError:
        stopped = _match(name, self._find_stopped())
        if stopped:
            return TargetNotFoundError(
                f"container {stopped[0].label} exists but is {stopped[0].state}",
                hint="start it; only running containers can be traced",
            )
        if self.unreachable:
            engines = "; ".join(f"{one.address}: {one.reason}" for one in self.unreachable)
            return RuntimeUnreachableError(
                f"no container answers to {name!r}, but an engine could not be asked: {engines}",
                hint=self.unreachable[0].hint,
            )
        return TargetNotFoundError(
            f"no container answers to {name!r}",
            hint=f"running: {_enumerate(self.running)}" if self.running else "none is running",
        )

    def _ask_engines(self, paths: RuntimePaths) -> list[FoundContainer]:
        listening, self.unreachable = probe_engines(paths.docker_host, paths.docker_sockets)
        found: list[FoundContainer] = []
        if listening:
            # Loading the client costs 0.1 s: only where there is an engine.
            from tracer.containers.docker import DockerEngine

            for address in listening:
                try:
                    engine = DockerEngine(address)
                    found += engine.list_containers()
                except RuntimeUnreachableError as error:
                    self.unreachable.append(UnreachableEngine(address, error.message, error.hint))
                else:
                    self._engines[address] = engine
        return found

    def _find_stopped(self) -> list[FoundContainer]:
        stopped = [replace(one, state="stopped") for one in self._dead]
        for address, engine in self._engines.items():
            try:
                stopped += engine.list_containers(stopped=True)
            except RuntimeUnreachableError as error:
                self.unreachable.append(UnreachableEngine(address, error.message, error.hint))
        for storage in self._paths.podman_storages:
            stopped += find_stopped_podman(storage)
        return merge_found(stopped)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        shown = name if len(name) <= 80 else f"{name[:80]}..."
        raise UsageError(
            f"no container can be called {shown!r}",
            hint="give an id, the beginning of one, or a name, as `docker ps` prints them",
        )


def _match(name: str, containers: Sequence[FoundContainer]) -> list[FoundContainer]:
    return (
        [one for one in containers if one.id == name]
        or [one for one in containers if name in one.names]
        or [one for one in containers if len(name) >= MIN_PREFIX and one.id.startswith(name)]
    )


def _enumerate(containers: Sequence[FoundContainer]) -> str:
    shown = ", ".join(one.label for one in containers[:_LISTED])
    more = len(containers) - _LISTED
    return f"{shown} and {more} more" if more > 0 else shown
