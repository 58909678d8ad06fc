"""Engines and processes that may not be asked, or are gone: an error that names them."""

from __future__ import annotations

import shutil
import socket
import tempfile
from pathlib import Path

import pytest

from tests.support.dockerd import IMAGE, Dockerd
from tests.support.other_user import as_nobody
from tests.support.runc import Runc
from tracer.containers.paths import OciRoot, RuntimePaths
from tracer.containers.resolve import resolve_containers
from tracer.errors import PrivilegeError, RuntimeUnreachableError

pytestmark = pytest.mark.root


def test_a_socket_we_may_not_use_is_an_error_that_names_it(docker: Dockerd) -> None:
    docker.run("--name", "web", IMAGE, "sleep", "1000")
    paths = RuntimePaths(docker_host=docker.url)
    error = as_nobody(lambda: resolve_containers(["web"], paths))
    assert isinstance(error, RuntimeUnreachableError)
    assert error.exit_code == 69
    assert docker.url in str(error)
    assert "Permission denied" in str(error)


def test_an_init_we_may_not_look_at_is_a_want_of_privilege(runc: Runc, tmp_path: Path) -> None:
    container = runc.run(["sleep", "1000"])
    readable = tmp_path / "state"
    shutil.copytree(runc.root / container.id, readable / container.id)
    # One more where tests run side by side.
    above = [path for path in tmp_path.parents if Path(tempfile.gettempdir()) in path.parents]
    for path in (tmp_path, *above, readable, *readable.rglob("*")):
        path.chmod(0o755)
    error = as_nobody(
        lambda: resolve_containers([container.id], RuntimePaths(oci_roots=(OciRoot(readable),)))
    )
    assert isinstance(error, PrivilegeError)
    assert str(container.pid) in str(error)


def test_the_socket_of_an_engine_that_exited_is_named(docker: Dockerd, tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    with pytest.raises(RuntimeUnreachableError, match="Connection refused"):
        resolve_containers(["nope"], RuntimePaths(docker_sockets=(path,)))
    # What another engine knows is found all the same.
    docker.run("--name", "web", IMAGE, "sleep", "1000")
    paths = RuntimePaths(docker_host=docker.url, docker_sockets=(path,))
    assert resolve_containers(["web"], paths)[0].name == "web"
