"""Containers as the real engines run them, found by id, prefix and name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.dockerd import IMAGE, Dockerd
from tests.live.runc import Runc

pytestmark = pytest.mark.root


def test_the_private_engine_runs_a_container(docker: Dockerd) -> None:
    container = docker.run("--name", "web", IMAGE, "sleep", "1000")
    assert len(container) == 64
    comm = Path(f"/proc/{docker.pid(container)}/comm").read_text()
    assert comm == "sleep\n"


@pytest.mark.parametrize("name", ["runc", "crun"])
def test_a_plain_runtime_runs_a_container(name: str, request: pytest.FixtureRequest) -> None:
    runtime: Runc = request.getfixturevalue(name)
    container = runtime.run(["sleep", "1000"])
    assert Path(f"/proc/{container.pid}/ns/pid").readlink() != Path("/proc/self/ns/pid").readlink()
