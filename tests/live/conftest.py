"""Fixtures of the live tests: a private dockerd, and runc or crun without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.dockerd import Dockerd
from tests.live.podman import Podman
from tests.live.require import require_program, require_root
from tests.live.runc import Runc


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
