"""Where the runtimes are looked for."""

from __future__ import annotations

from pathlib import Path

from tracer.containers.paths import EngineSocket, OciRoot, RuntimePaths


def test_docker_host_is_asked_besides_the_usual_socket() -> None:
    paths = RuntimePaths.of_host({"DOCKER_HOST": "unix:///tmp/other.sock"})
    assert paths.docker_host == "unix:///tmp/other.sock"
    assert Path("/run/docker.sock") in paths.docker_sockets


def test_an_empty_docker_host_is_none() -> None:
    assert RuntimePaths.of_host({"DOCKER_HOST": ""}).docker_host is None


def test_a_rootless_users_own_directories_are_looked_at() -> None:
    paths = RuntimePaths.of_host({"XDG_RUNTIME_DIR": "/somewhere/run"})
    assert OciRoot(Path("/somewhere/run/crun")) in paths.oci_roots
    assert EngineSocket(Path("/somewhere/run/docker.sock")) in paths.user_sockets


def test_the_usual_state_directories_are_looked_at() -> None:
    paths = RuntimePaths.of_host({})
    assert {OciRoot(Path("/run/runc")), OciRoot(Path("/run/crun"))} <= set(paths.oci_roots)
    sockets = {str(one.state_dir): str(one.socket) for one in paths.containerds}
    assert sockets["/run/containerd"] == "/run/containerd/containerd.sock"
    assert sockets["/run/docker/containerd/daemon"] == "/run/docker/containerd/containerd.sock"
    assert (
        sockets["/var/snap/microk8s/common/run/containerd"]
        == "/var/snap/microk8s/common/run/containerd.sock"
    )
