"""Runtimes' state as they leave it on disk, reduced to what is read of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tracer.containers.paths import ContainerdState, OciRoot, RuntimePaths
from tracer.procfs.status import ProcStat

WEB_ID = "3f2a" + "c" * 60
DB_ID = "3f9b" + "d" * 60


def start_ticks(pid: int) -> int:
    """The start of a process as /proc counts."""
    return ProcStat.parse(Path(f"/proc/{pid}/stat").read_bytes()).start_ticks


def start_ns(pid: int) -> int:
    """The start of a process in ns since boot, as exact as /proc has it."""
    return start_ticks(pid) * 10_000_000


def pidns_of(pid: int) -> int:
    """The PID namespace a process is in."""
    return Path(f"/proc/{pid}/ns/pid").stat().st_ino


def a_runc_state(
    root: Path,
    container_id: str,
    pid: int,
    *,
    ticks: int | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Path:
    """Write ``ROOT/ID/state.json`` and return the root."""
    labels = [f"{key}={value}" for key, value in (annotations or {}).items()]
    state = {
        "id": container_id,
        "init_process_pid": pid,
        "init_process_start": start_ticks(pid) if ticks is None else ticks,
        "config": {"rootfs": "/var/lib/rootfs", "labels": labels},
    }
    _write(root / container_id / "state.json", state)
    return root


def a_crun_status(
    root: Path,
    container_id: str,
    pid: int,
    *,
    bundle: str = "/var/lib/bundle",
    annotations: Mapping[str, str] | None = None,
) -> Path:
    """Write ``ROOT/ID/status`` and its copy of config.json; return the root."""
    status = {
        "pid": pid,
        "process-start-time": start_ticks(pid),
        "cgroup-path": f"/{container_id}",
        "bundle": bundle,
        "owner": "root",
        "detached": True,
    }
    _write(root / container_id / "status", status)
    _write(root / container_id / "config.json", {"annotations": dict(annotations or {})})
    return root


def a_containerd_task(
    state_dir: Path,
    container_id: str,
    pid: int,
    *,
    namespace: str = "k8s.io",
    annotations: Mapping[str, str] | None = None,
) -> ContainerdState:
    """Write a task's ``init.pid`` and ``config.json``."""
    task = state_dir / "io.containerd.runtime.v2.task" / namespace / container_id
    _write(task / "config.json", {"annotations": dict(annotations or {})})
    (task / "init.pid").write_text(str(pid))
    return ContainerdState(state_dir, state_dir / "containerd.sock")


def a_podman_storage(storage: Path, names: Mapping[str, str]) -> Path:
    """Write ``STORAGE/overlay-containers/containers.json``: id -> name."""
    listing = [
        {"id": container_id, "names": [name], "image": "0" * 64, "layer": "1" * 64}
        for container_id, name in names.items()
    ]
    _write(storage / "overlay-containers/containers.json", listing)
    return storage


def oci_only(*roots: Path) -> RuntimePaths:
    """Paths of a host with nothing but runc and crun."""
    return RuntimePaths(oci_roots=tuple(OciRoot(root) for root in roots))


def cri_annotations(name: str, pod: str, *, kind: str = "container") -> dict[str, str]:
    """What containerd's CRI plugin leaves on a container."""
    namespace, _, pod_name = pod.partition("/")
    return {
        "io.kubernetes.cri.container-type": kind,
        "io.kubernetes.cri.container-name": name,
        "io.kubernetes.cri.image-name": "docker.io/library/busybox:1.36",
        "io.kubernetes.cri.sandbox-id": "9" * 64,
        "io.kubernetes.cri.sandbox-name": pod_name,
        "io.kubernetes.cri.sandbox-namespace": namespace,
    }


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
