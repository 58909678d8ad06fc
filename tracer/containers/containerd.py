"""Containers of containerd: CRI's, nerdctl's, ctr's, and Docker's under it."""

from __future__ import annotations

from pathlib import Path

from tracer.containers.annotations import read_owner
from tracer.containers.found import FoundContainer, is_generated_id
from tracer.containers.state_files import (
    get_object,
    get_strings,
    list_directory,
    read_json,
    read_text,
)

_TASKS = "io.containerd.runtime.v2.task"


def find_containerd_tasks(state_dir: Path, socket: Path) -> list[FoundContainer]:
    """List the tasks of one containerd.

    Args:
        state_dir: Its ``state`` (``/run/containerd``).
        socket: Where it listens, for stopping what was found.

    Source:
        ``STATE/io.containerd.runtime.v2.task/NAMESPACE/ID/{init.pid,config.json}``
        (containerd 1.4 and newer, any shim of the v2 API that keeps init.pid).
    """
    tasks = state_dir / _TASKS
    found = []
    for namespace in list_directory(tasks):
        for name in list_directory(tasks / namespace):
            task = tasks / namespace / name
            pid_text = (read_text(task / "init.pid") or "").strip()
            if not pid_text.isdecimal():
                continue
            owner = read_owner(
                get_strings(get_object(read_json(task / "config.json"), "annotations"))
            )
            found.append(
                FoundContainer(
                    id=name,
                    names=owner.names or (() if is_generated_id(name) else (name,)),
                    runtime=owner.runtime or "containerd",
                    engine_address=str(socket),
                    engine_namespace=namespace,
                    init_host_pid=int(pid_text),
                    stop_signo=owner.stop_signo,
                    stop_timeout_s=owner.stop_timeout_s,
                    pod=owner.pod,
                )
            )
    return found
