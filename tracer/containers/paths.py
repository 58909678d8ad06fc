"""Where on a host the runtimes listen and keep their state."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tracer.containers.state_files import list_directory

_RUN = Path("/run")
_CONTAINERD_STATES = (
    "/run/containerd",
    "/run/k3s/containerd",
    "/run/k0s/containerd",
    "/var/snap/microk8s/common/run/containerd",
    "/run/docker/containerd/daemon",
)


@dataclass(frozen=True, slots=True)
class OciRoot:
    """A state directory of runc or crun, and whose it is."""

    path: Path
    owner_uid: int = 0


@dataclass(frozen=True, slots=True)
class ContainerdState:
    """A containerd's state directory and its socket."""

    state_dir: Path
    socket: Path


@dataclass(frozen=True, slots=True)
class RuntimePaths:
    """Where to look.

    Args:
        docker_host: ``DOCKER_HOST``, or None; asked besides the sockets.
        docker_sockets: Engines' API sockets; those that are not there are left out.
        containerds: containerd's state directories.
        oci_roots: State directories of runc and crun.
        podman_storages: podman's storage directories.
    """

    docker_host: str | None = None
    docker_sockets: tuple[Path, ...] = ()
    containerds: tuple[ContainerdState, ...] = ()
    oci_roots: tuple[OciRoot, ...] = ()
    podman_storages: tuple[Path, ...] = ()

    @classmethod
    def of_host(cls, environ: Mapping[str, str] = os.environ) -> RuntimePaths:
        """Say where this host's runtimes are by their own conventions."""
        homes = [(_RUN / "user" / uid, int(uid)) for uid in list_directory(_RUN / "user")
                 if uid.isdecimal()]  # fmt: skip
        own = environ.get("XDG_RUNTIME_DIR")
        if own and Path(own) not in [home for home, _ in homes]:
            homes.append((Path(own), os.geteuid()))
        return cls(
            docker_host=environ.get("DOCKER_HOST") or None,
            docker_sockets=(_RUN / "docker.sock", *(home / "docker.sock" for home, _ in homes)),
            containerds=tuple(
                ContainerdState(Path(state), _containerd_socket(Path(state)))
                for state in _CONTAINERD_STATES
            ),
            oci_roots=(
                *(OciRoot(_RUN / name) for name in ("runc", "crun")),
                *(OciRoot(root) for root in _engines_oci_roots()),
                *(OciRoot(home / name, uid) for home, uid in homes for name in ("runc", "crun")),
            ),
            podman_storages=(
                Path("/var/lib/containers/storage"),
                Path(environ.get("HOME", "/root")) / ".local/share/containers/storage",
            ),
        )


def _containerd_socket(state_dir: Path) -> Path:
    # microk8s and Docker's own one keep the socket elsewhere.
    if state_dir.name == "daemon":
        return state_dir.parent / "containerd.sock"
    return (
        Path(f"{state_dir}.sock")
        if "microk8s" in str(state_dir)
        else (state_dir / "containerd.sock")
    )


def _engines_oci_roots() -> list[Path]:
    docker = _RUN / "docker"
    containerd = _RUN / "containerd/runc"
    roots = [
        docker / runtime / namespace
        for runtime in list_directory(docker)
        if runtime.startswith("runtime-")
        for namespace in list_directory(docker / runtime)
    ]
    return roots + [containerd / namespace for namespace in list_directory(containerd)]
