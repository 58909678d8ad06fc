"""Names are looked up without an engine, with one that refuses, and with one that is elsewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.containers import a_runc_state
from tracer.containers.paths import OciRoot, RuntimePaths
from tracer.containers.resolve import resolve_containers
from tracer.errors import RuntimeUnreachableError


def test_a_container_found_elsewhere_needs_no_engine_that_refuses(
    tmp_path: Path, init: int
) -> None:
    missing = f"unix://{tmp_path}/docker.sock"
    root = a_runc_state(tmp_path / "runc", "web", init)
    paths = RuntimePaths(docker_host=missing, oci_roots=(OciRoot(root),))
    assert resolve_containers(["web"], paths)[0].init_host_pid == init
    with pytest.raises(RuntimeUnreachableError, match="No such file") as caught:
        resolve_containers(["nope"], paths)
    assert missing in caught.value.message
    assert "DOCKER_HOST" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "host", ["tcp://10.0.0.7:2375", "ssh://ops@build-7", "https://docker.example.com:2376"]
)
def test_an_engine_on_another_machine_is_not_asked(host: str) -> None:
    with pytest.raises(RuntimeUnreachableError, match="on another machine"):
        resolve_containers(["web"], RuntimePaths(docker_host=host))


@pytest.mark.parametrize("host", ["nonsense", "fd://", "unix://", "npipe:////./pipe/x", "tcp://["])
def test_a_docker_host_that_makes_no_sense_is_an_error_of_its_own(host: str) -> None:
    with pytest.raises(RuntimeUnreachableError):
        resolve_containers(["web"], RuntimePaths(docker_host=host))


def test_without_an_engine_no_client_is_loaded(tmp_path: Path, init: int) -> None:
    a_runc_state(tmp_path, "web", init)
    script = (
        "import sys; from pathlib import Path\n"
        "from tracer.containers.paths import OciRoot, RuntimePaths\n"
        "from tracer.containers.resolve import resolve_containers\n"
        f"root = OciRoot(Path({str(tmp_path)!r}))\n"
        "resolve_containers(['web'], RuntimePaths(oci_roots=(root,)))\n"
        "print(sorted({'docker', 'requests', 'urllib3'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
