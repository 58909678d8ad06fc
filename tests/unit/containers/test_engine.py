"""A Docker engine that misbehaves, on a socket of our own."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.containers import WEB_ID, a_runc_state
from tracer.containers import docker as docker_module
from tracer.containers.docker import DockerEngine
from tracer.containers.paths import OciRoot, RuntimePaths
from tracer.containers.resolve import resolve_containers
from tracer.errors import RuntimeUnreachableError, TargetNotFoundError

_VERSION = {"ApiVersion": "1.41", "MinAPIVersion": "1.24"}
Answer = Callable[[str], tuple[int, bytes]]


@contextlib.contextmanager
def an_engine(directory: Path, answer: Answer) -> Iterator[str]:
    """Serve the API until left; ``answer`` maps a request's path to status and body."""
    path = directory / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=_serve, args=(server, answer))
        thread.start()
        try:
            yield f"unix://{path}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(server: socket.socket, answer: Answer) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        with client, client.makefile("rwb") as stream:
            request = stream.readline().decode()
            if not request:
                continue
            while stream.readline().strip():
                pass
            status, body = answer(request.split()[1])
            stream.write(
                b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
                % (status, len(body)) + body
            )  # fmt: skip


def _of(listing: object, inspected: object = None) -> Answer:
    def answer(path: str) -> tuple[int, bytes]:
        if path.endswith("/version"):
            return 200, json.dumps(_VERSION).encode()
        if "/containers/json" in path:
            return 200, json.dumps(listing).encode()
        return (404, b'{"message": "gone"}') if inspected is None else (
            200, json.dumps(inspected).encode()
        )  # fmt: skip

    return answer


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b"{}", b"[1, 2]", b'{"a": 1}', b"\xff\xfe"]
)
def test_an_engine_that_answers_nonsense_does_not_answer(tmp_path: Path, body: bytes) -> None:
    for answer in (
        lambda _: (200, body),
        lambda path: (200, json.dumps(_VERSION).encode() if path.endswith("version") else body),
    ):
        directory = tmp_path / str(id(answer))
        directory.mkdir()
        with (
            an_engine(directory, answer) as address,
            pytest.raises((RuntimeUnreachableError, TargetNotFoundError)),
        ):
            resolve_containers(["web"], RuntimePaths(docker_host=address))


@pytest.mark.parametrize("status", [400, 403, 500, 503])
def test_an_engine_that_refuses_is_named_with_its_words(tmp_path: Path, status: int) -> None:
    with (
        an_engine(tmp_path, lambda _: (status, b'{"message": "not today"}')) as address,
        pytest.raises(RuntimeUnreachableError) as caught,
    ):
        resolve_containers(["web"], RuntimePaths(docker_host=address))
    assert str(tmp_path) in caught.value.message
    assert "not today" in caught.value.message


def test_an_engine_that_hangs_holds_no_one_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_module, "LISTING_TIMEOUT_S", 0.2)
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        with pytest.raises(RuntimeUnreachableError, match="timed out"):
            resolve_containers(["web"], RuntimePaths(docker_host=f"unix://{path}"))


def test_an_engine_that_died_leaves_its_socket(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    with pytest.raises(RuntimeUnreachableError, match="Connection refused") as caught:
        resolve_containers(["web"], RuntimePaths(docker_sockets=(path,)))
    assert str(path) in caught.value.message


def test_a_container_removed_while_being_looked_up_is_not_found(tmp_path: Path) -> None:
    listing = [{"Id": WEB_ID, "Names": ["/web"], "State": "running", "Labels": {}}]
    with (
        an_engine(tmp_path, _of(listing)) as address,
        pytest.raises(TargetNotFoundError, match="removed while"),
    ):
        resolve_containers(["web"], RuntimePaths(docker_host=address))


def test_a_container_between_two_restarts_does_not_run(tmp_path: Path) -> None:
    listing = [{"Id": WEB_ID, "Names": ["/web"], "State": "restarting"}]
    inspected = {"Id": WEB_ID, "Name": "/web", "State": {"Status": "restarting", "Pid": 0}}
    with (
        an_engine(tmp_path, _of(listing, inspected)) as address,
        pytest.raises(TargetNotFoundError, match=r"web .* is restarting, not running"),
    ):
        resolve_containers(["web"], RuntimePaths(docker_host=address))


def test_a_pid_of_another_machine_is_not_traced(tmp_path: Path) -> None:
    listing = [{"Id": WEB_ID, "Names": ["/web"], "State": "running"}]
    inspected = {
        "Id": WEB_ID,
        "Name": "/web",
        "State": {"Status": "running", "Pid": 1, "StartedAt": "2001-02-03T04:05:06.789012345Z"},
        "Config": {"StopSignal": "SIGQUIT", "StopTimeout": 3},
    }
    with (
        an_engine(tmp_path, _of(listing, inspected)) as address,
        pytest.raises(TargetNotFoundError, match="a different one") as caught,
    ):
        resolve_containers(["web"], RuntimePaths(docker_host=address))
    assert "another machine" in (caught.value.hint or "")


def test_inspecting_shows_signal_grace_and_pod(tmp_path: Path) -> None:
    inspected = {
        "Id": WEB_ID,
        "Name": "/k8s_web_front-1_shop_0",
        "State": {"Status": "running", "Pid": 77, "StartedAt": "2001-02-03T04:05:06Z"},
        "Config": {
            "StopSignal": "RTMIN+3",
            "StopTimeout": 0,
            "Labels": {
                "io.kubernetes.docker.type": "container",
                "io.kubernetes.container.name": "web",
                "io.kubernetes.pod.name": "front-1",
                "io.kubernetes.pod.namespace": "shop",
            },
        },
    }
    with an_engine(tmp_path, _of([], inspected)) as address:
        found = DockerEngine(address).inspect(WEB_ID)
    assert found.names == ("web", "k8s_web_front-1_shop_0")
    assert (found.init_host_pid, found.stop_signo, found.stop_timeout_s) == (77, 37, 0.0)
    assert (found.pod, found.started_unix_s) == ("shop/front-1", 981173106.0)


def test_one_engine_by_two_names_is_asked_once(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "var-run").symlink_to("run")
    asked = []

    def answer(path: str) -> tuple[int, bytes]:
        asked.append(path)
        return _of([])(path)

    with (
        an_engine(tmp_path / "run", answer),
        pytest.raises(TargetNotFoundError),
    ):
        resolve_containers(
            ["web"],
            RuntimePaths(
                docker_host=f"unix://{tmp_path}/var-run/docker.sock",
                docker_sockets=(tmp_path / "run/docker.sock",),
            ),
        )
    assert len([path for path in asked if path.endswith("/version")]) == 1


def test_a_broken_engine_hides_no_container_of_another_runtime(tmp_path: Path) -> None:
    root = a_runc_state(tmp_path / "runc", "mine", os.getpid())
    with an_engine(tmp_path, lambda _: (500, b"")) as address:
        paths = RuntimePaths(docker_host=address, oci_roots=(OciRoot(root),))
        assert resolve_containers(["mine"], paths)[0].id == "mine"
