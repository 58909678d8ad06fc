"""The containers of all runtimes of a host, each asked once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tracer.containers.access import unreadable
from tracer.containers.containerd import find_containerd_tasks
from tracer.containers.engines import ask_engines
from tracer.containers.found import FoundContainer, UnreachableEngine, believable, merge_found
from tracer.containers.init_process import is_running
from tracer.containers.oci import find_oci_containers, find_stopped_podman
from tracer.containers.paths import RuntimePaths
from tracer.containers.state_files import Accounts
from tracer.errors import RuntimeUnreachableError


class Survey:
    """One look at every runtime.

    Attributes:
        running: The containers that run: root's (and our own), then other users'.
        unreachable: Engines that could not be asked.
    """

    def __init__(self, paths: RuntimePaths) -> None:
        self._paths = paths
        self._accounts = Accounts()
        answers = ask_engines(paths)
        self._engines = answers.engines
        self.unreachable: list[UnreachableEngine] = answers.unreachable
        found = answers.found
        # Root's first, before users' have used up what all of theirs may cost.
        for containerd in paths.containerds:
            found += find_containerd_tasks(containerd.state_dir, containerd.socket, self._accounts)
        for root in sorted(paths.oci_roots, key=lambda root: root.owner_uid is not None):
            found += find_oci_containers(root, self._accounts)
        merged = merge_found(believable(found))
        self.running: list[FoundContainer] = []
        self._dead: list[FoundContainer] = []
        for one in sorted(merged, key=lambda one: one.owner_uid is not None):
            # Docker's listing has no pid but says what runs; /proc shows the rest.
            runs = one.runtime == "docker" or is_running(one)
            (self.running if runs else self._dead).append(one)

    @property
    def notes(self) -> list[str]:
        """What was not read to its end, in words."""
        return self._accounts.notes

    @property
    def unreadable(self) -> list[Path]:
        """State directories that we may not list."""
        return unreadable(self._paths)

    def complete(self, found: FoundContainer) -> FoundContainer:
        """Add what only inspecting a container shows.

        Raises:
            TargetNotFoundError: It was removed meanwhile.
            RuntimeUnreachableError: Its engine does not answer.
        """
        engine = self._engines.get((found.engine_address, found.owner_uid))
        if engine is None:
            return found
        try:
            reported = replace(engine.inspect(found.id), owner_uid=found.owner_uid)
        except RuntimeUnreachableError:
            # It lists what runs and says no more: what its runtime keeps is enough.
            if found.init_host_pid is None:
                raise
            return found
        inspected = next(iter(believable([reported])), found)
        if inspected.init_host_pid is None:
            return inspected
        # The exact start of init, which Docker does not report, if it is still that one.
        return merge_found([inspected, found])[0]

    def find_stopped(self) -> list[FoundContainer]:
        """List what is known and does not run."""
        stopped = [replace(one, state="stopped") for one in self._dead]
        for (address, owner_uid), engine in self._engines.items():
            if owner_uid is not None:
                continue
            try:
                stopped += engine.list_containers(stopped=True)
            except RuntimeUnreachableError as error:
                self.unreachable.append(UnreachableEngine(address, error.message, error.hint))
        for storage in self._paths.podman_storages:
            stopped += find_stopped_podman(storage, self._accounts)
        return merge_found(believable(stopped))
