"""Containers of containerd: CRI's, nerdctl's, ctr's, and Docker's under it."""

from __future__ import annotations

from pathlib import Path

from tracer.containers.annotations import read_owner
from tracer.containers.found import FoundContainer, is_generated_id
from tracer.containers.state_files import (
    PID_MAX,
    Accounts,
    StateDirectory,
    get_object,
    get_strings,
    open_state,
)

_TASKS = "io.containerd.runtime.v2.task"
_PID_DIGITS = 7


def find_containerd_tasks(
    state_dir: Path, socket: Path, accounts: Accounts
) -> list[FoundContainer]:
    """List the tasks of one containerd.

    Args:
        state_dir: Its ``state`` (``/run/containerd``).
        socket: Where it listens, for stopping what was found.
        accounts: What reading it is charged to.

    Source:
        ``STATE/io.containerd.runtime.v2.task/NAMESPACE/ID/{init.pid,config.json}``
        (containerd 1.4 and newer, any shim of the v2 API that keeps init.pid).
    """
    tasks = open_state(state_dir / _TASKS, accounts)
    if tasks is None:
        return []
    found = []
    with tasks:
        for namespace in tasks.names():
            of_namespace = tasks.enter(namespace)
            if of_namespace is None:
                continue
            with of_namespace:
                for name in of_namespace.names():
                    task = of_namespace.enter(name)
                    if task is None:
                        continue
                    with task:
                        container = _read_task(task, name, namespace, socket)
                    if container is not None:
                        found.append(container)
    return found


def _read_task(
    task: StateDirectory, name: str, namespace: str, socket: Path
) -> FoundContainer | None:
    pid_text = (task.read_text("init.pid") or "").strip()
    if not (pid_text.isascii() and pid_text.isdecimal() and len(pid_text) <= _PID_DIGITS):
        return None
    pid = int(pid_text)
    if not 0 < pid <= PID_MAX:
        return None
    owner = read_owner(get_strings(get_object(task.read_json("config.json"), "annotations")))
    return FoundContainer(
        id=name,
        names=owner.names or (() if is_generated_id(name) else (name,)),
        runtime=owner.runtime or "containerd",
        engine_address=str(socket),
        engine_namespace=namespace,
        init_host_pid=pid,
        stop_signo=owner.stop_signo,
        stop_timeout_s=owner.stop_timeout_s,
        pod=owner.pod,
        owner_uid=task.owner_uid,
    )
