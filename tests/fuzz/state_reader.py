"""Finds containers among what state directories hold."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from tracer.containers.paths import ContainerdState, OciRoot, RuntimePaths
from tracer.containers.resolve import resolve_containers, running_containers

REAL_NAME = "web"
"""What root's own container is called, in a place of its own."""


def paths_of(case: dict[str, Any]) -> RuntimePaths:
    """Where runtimes keep what they know: root's, and whoever wrote the case's."""
    written, owner_uid = Path(case["written"]), case["owner_uid"]
    return RuntimePaths(
        containerds=(ContainerdState(written / "containerd", written / "containerd.sock"),),
        oci_roots=(
            OciRoot(Path(case["real"])),
            OciRoot(written / "runc", owner_uid),
            OciRoot(written / "crun", owner_uid),
        ),
        podman_storages=(written / "storage",),
    )


def look(case: dict[str, Any]) -> None:
    """List what runs, find the real one, and look for what is not there."""
    paths = paths_of(case)
    running = running_containers(paths)
    for one in running:
        shown = json.dumps(dataclasses.asdict(one), default=sorted)
        assert json.loads(shown)["id"].isprintable(), shown
        assert all(text is None or text.isprintable() for text in (one.name, one.pod)), shown
        assert one.runtime != "docker", shown
        assert one.owner_uid == (None if one.id == REAL_NAME else case["owner_uid"]), shown
    if case["owner_uid"] is not None:
        # Another user's word makes root's container neither another nor ambiguous.
        (found,) = resolve_containers([REAL_NAME], paths)
        assert found.owner_uid is None
        assert found.init_host_pid == case["real_pid"]
    if len(running) > 1:
        return
    resolve_containers(["not-there"], paths)
