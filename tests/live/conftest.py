"""Fixtures of the live tests: a private dockerd, and runc, crun or podman without one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.dockerd import Dockerd
from tests.support.podman import Podman
from tests.support.real_programs import Programs, import_host
from tests.support.require import require_program, require_root
from tests.support.rootfs import build_rootfs
from tests.support.runc import Runc
from tracer.containers.paths import ContainerdState, RuntimePaths
from tracer.containers.resolve import resolve_containers
from tracer.model.target import Container


@pytest.fixture(scope="session")
def busybox() -> Path:
    """A statically linked busybox."""
    return require_program("busybox", "busybox")


@pytest.fixture(scope="session")
def dockerd(busybox: Path) -> Iterator[Dockerd]:
    """A Docker engine of the session's own. Containers outlive a test: see ``docker``."""
    require_root()
    engine = Dockerd(
        dockerd=require_program("docker", "dockerd"),
        containerd=require_program("docker", "containerd"),
        docker=require_program("docker", "docker"),
        busybox=busybox,
    )
    try:
        engine.start()
        yield engine
    finally:
        engine.close()


@pytest.fixture
def docker(dockerd: Dockerd) -> Iterator[Dockerd]:
    """The session's engine; what the test leaves running is removed after it."""
    yield dockerd
    dockerd.remove(dockerd.containers())


@pytest.fixture(scope="session")
def _host_image(dockerd: Dockerd, tmp_path_factory: pytest.TempPathFactory) -> None:
    import_host(dockerd, tmp_path_factory.mktemp("host"))


@pytest.fixture
def programs(docker: Dockerd, _host_image: None, tmp_path: Path) -> Programs:
    """Programs of this machine, each in a container of the session's engine."""
    return Programs(docker, tmp_path)


@pytest.fixture
def find(docker: Dockerd) -> Callable[[str], Container]:
    """Resolve one name among the containers of the private engine."""

    def resolve(name: str) -> Container:
        (container,) = resolve_containers([name], RuntimePaths(docker_host=docker.url))
        return container

    return resolve


@pytest.fixture
def cri(docker: Dockerd, busybox: Path) -> Iterator[Callable[..., RuntimePaths]]:
    """Run containers on containerd as CRI annotates them; give where to look."""
    rootfs = build_rootfs(docker.root / "cri-rootfs", busybox)
    started: list[str] = []

    def run(container_id: str, annotations: dict[str, str]) -> RuntimePaths:
        options = [
            word for pair in annotations.items() for word in ("--annotation", "=".join(pair))
        ]
        docker.ctr(
            "--namespace", "k8s.io", "run", "--detach", "--null-io", *options,
            "--cgroup", f"{docker.cgroup_parent}/{container_id}",
            "--rootfs", rootfs, container_id, "/bin/sleep", "1000",
        )  # fmt: skip
        started.append(container_id)
        return RuntimePaths(
            containerds=(ContainerdState(docker.containerd_state, docker.containerd_socket),)
        )

    yield run
    for container_id in started:
        docker.ctr("--namespace", "k8s.io", "tasks", "delete", "--force", container_id)
        docker.ctr("--namespace", "k8s.io", "containers", "delete", container_id)
    shutil.rmtree(rootfs)


@pytest.fixture(scope="session")
def _runc(busybox: Path) -> Iterator[Runc]:
    require_root()
    runtime = Runc(require_program("runc", "runc"), busybox)
    yield runtime
    runtime.close()


@pytest.fixture
def runc(_runc: Runc) -> Iterator[Runc]:
    """runc with its default state directory; its containers go after the test."""
    yield _runc
    _runc.remove_all()


@pytest.fixture(scope="session")
def _crun(busybox: Path) -> Iterator[Runc]:
    require_root()
    runtime = Runc(require_program("crun", "crun"), busybox)
    yield runtime
    runtime.close()


@pytest.fixture
def crun(_crun: Runc) -> Iterator[Runc]:
    """crun with its default state directory; its containers go after the test."""
    yield _crun
    _crun.remove_all()


@pytest.fixture(scope="session")
def _podman(busybox: Path) -> Iterator[Podman]:
    require_root()
    engine = Podman(require_program("podman", "podman"), require_program("runc", "runc"), busybox)
    yield engine
    engine.close()


@pytest.fixture
def podman(_podman: Podman) -> Iterator[Podman]:
    """podman with its own storage; its containers go after the test."""
    yield _podman
    _podman.remove_all()
