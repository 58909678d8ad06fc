"""Where on a host the runtimes listen and keep their state."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tracer.containers.state_files import list_directory
from tracer.trust.walk import is_trusted_uid

_RUN = Path("/run")
_UID_DIGITS = 10
_CONTAINERD_STATES = (
    "/run/containerd",
    "/run/k3s/containerd",
    "/run/k0s/containerd",
    "/var/snap/microk8s/common/run/containerd",
    "/run/docker/containerd/daemon",
)


@dataclass(frozen=True, slots=True)
class OciRoot:
    """A state directory of runc or crun.

    Args:
        path: Where it is.
        owner_uid: Its owner, by its location (``/run/user/UID``); None: the
            file's owner.
    """

    path: Path
    owner_uid: int | None = None


@dataclass(frozen=True, slots=True)
class EngineSocket:
    """Where an engine may listen; see :class:`OciRoot`."""

    path: Path
    owner_uid: int | None = None


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
        user_sockets: The same of users, each in a directory of that user's.
        containerds: containerd's state directories.
        oci_roots: State directories of runc and crun.
        podman_storages: podman's storage directories.
    """

    docker_host: str | None = None
    docker_sockets: tuple[Path, ...] = ()
    user_sockets: tuple[EngineSocket, ...] = ()
    containerds: tuple[ContainerdState, ...] = ()
    oci_roots: tuple[OciRoot, ...] = ()
    podman_storages: tuple[Path, ...] = ()

    @classmethod
    def of_host(cls, environ: Mapping[str, str] = os.environ) -> RuntimePaths:
        """Say where this host's runtimes are by their own conventions.

        The environment adds places to look at (``DOCKER_HOST``, ``XDG_RUNTIME_DIR``,
        ``HOME``); what is found in any of them is believed as far as its owner is.
        """
        homes: dict[Path, int | None] = {
            _RUN / "user" / uid: _believed_uid(int(uid))
            for uid in list_directory(_RUN / "user")
            if uid.isascii() and uid.isdecimal() and len(uid) <= _UID_DIGITS
        }
        own = environ.get("XDG_RUNTIME_DIR", "")
        if own.startswith("/"):
            homes.setdefault(Path(own), None)
        return cls(
            docker_host=environ.get("DOCKER_HOST") or None,
            docker_sockets=(_RUN / "docker.sock",),
            user_sockets=tuple(
                EngineSocket(home / "docker.sock", uid) for home, uid in homes.items()
            ),
            containerds=tuple(
                ContainerdState(Path(state), _containerd_socket(Path(state)))
                for state in _CONTAINERD_STATES
            ),
            oci_roots=(
                *(OciRoot(_RUN / name) for name in ("runc", "crun")),
                *(OciRoot(root) for root in _engines_oci_roots()),
                *(
                    OciRoot(home / name, uid)
                    for home, uid in homes.items()
                    for name in ("runc", "crun")
                ),
            ),
            podman_storages=(
                Path("/var/lib/containers/storage"),
                Path(environ.get("HOME", "/root")) / ".local/share/containers/storage",
            ),
        )


def _believed_uid(uid: int) -> int | None:
    # Root's own place, and ours, are whose their files say.
    return None if is_trusted_uid(uid) else uid


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
