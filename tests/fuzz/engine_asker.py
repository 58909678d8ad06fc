"""Asks an engine everything it is ever asked."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

from tests.support.containers import WEB_ID
from tracer.containers.docker import DockerEngine
from tracer.containers.engine_events import read_engine_events
from tracer.containers.paths import OciRoot, RuntimePaths
from tracer.containers.resolve import resolve_containers, running_containers
from tracer.model.target import Container

REAL_NAME = "runcs-own"
_LOOK_BACK_NS = 3600 * 10**9


def look(case: dict[str, Any]) -> None:
    """List, inspect, hear of events; the other runtime's container is found whatever it says."""
    socket = Path(case["socket"])
    paths = RuntimePaths(docker_sockets=(socket,), oci_roots=(OciRoot(Path(case["real"])),))
    running = running_containers(paths)
    for one in running:
        shown = json.dumps(dataclasses.asdict(one), default=sorted)
        assert one.id.isprintable(), shown
        assert all(text is None or text.isprintable() for text in (one.name, one.pod)), shown
    (real,) = resolve_containers([REAL_NAME], paths)
    assert real.runtime == "runc"
    address = f"unix://{socket}"
    _hear_events(address)
    DockerEngine(address).inspect(WEB_ID)


def _hear_events(address: str) -> None:
    since_unix_ns = time.time_ns() - _LOOK_BACK_NS
    container = Container(
        id=WEB_ID, name="web", runtime="docker", init_host_pid=1, init_start_boot_ns=1,
        pidns_inum=1, has_own_pidns=True, cgroup_path=None, cgroup_id=None,
        engine_address=address,
    )  # fmt: skip
    told, failures = read_engine_events([container], since_unix_ns)
    assert len(failures) <= 1
    for event in told:
        json.dumps(event).encode()
        assert event["container_id"] == WEB_ID
        assert since_unix_ns <= event["time_unix_ns"] <= time.time_ns()
        assert event["signal"] is None or event["signal"].startswith("SIG"), event
