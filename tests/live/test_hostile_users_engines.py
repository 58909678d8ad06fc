"""Engines that other users run: asked, believed of their own containers, waited for by nobody."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.containers import WEB_ID
from tests.support.strangers import MALLORY, PrivateHost, is_alive
from tracer.containers.docker import DockerEngine, EngineUnreachableError

pytestmark = pytest.mark.root
THEIRS = f"user {MALLORY}'s"
SOCKET = f"/run/user/{MALLORY}/docker.sock"
SOURCE = (Path(__file__).parents[1] / "support" / "a_users_engine.py").read_text()


@pytest.fixture
def host() -> Iterator[PrivateHost]:
    with PrivateHost() as host:
        host.add_user()
        yield host


def an_engine_of_roots(host: PrivateHost, mode: str, pid: int, name: str) -> None:
    """Start root's."""
    arguments = ("/run/docker.sock", mode, str(pid), name)
    host.start_as_root("/usr/bin/python3", "-c", SOURCE, *arguments)


def an_engine(host: PrivateHost, address: str, mode: str, pid: int) -> None:
    """Start an engine of the user's."""
    host.start_as_user("/usr/bin/python3", "-c", SOURCE, address, mode, str(pid))


def test_a_users_engine_is_believed_of_that_users_container(host: PrivateHost) -> None:
    theirs = host.container_of()
    an_engine(host, SOCKET, "good", theirs)
    result = host.zomtrace("-c", "web", "-d", "0.2")
    (container,) = result.report["containers"]
    assert (container["init_host_pid"], container["owner"]) == (theirs, f"user {MALLORY}")
    assert container["runtime"] == "docker"


def test_a_users_engine_is_not_believed_of_a_process_of_roots(host: PrivateHost) -> None:
    victim = host.container_of_root()
    an_engine(host, SOCKET, "good", victim)
    for arguments in (("-c", "web"), ("stop", "-c", "web")):
        result = host.zomtrace(*arguments, "-d", "1", status=69)
        assert f"which is not in a user namespace of user {MALLORY}" in result.stderr
        assert "Traceback" not in result.stderr
    assert is_alive(victim)


def test_a_users_engine_does_not_win_over_roots_runtime(host: PrivateHost) -> None:
    roots = host.container_of_root()
    host.root_knows(WEB_ID, roots, {"nerdctl/name": "web"})
    an_engine(host, SOCKET, "good", host.container_of())
    result = host.zomtrace("-c", "web", "-d", "0.2")
    assert result.report["containers"][0]["init_host_pid"] == roots
    assert f"web (docker {'ef' * 6}, {THEIRS})" in result.stderr


def test_a_users_engine_that_hangs_holds_up_nothing_of_roots(host: PrivateHost) -> None:
    roots = host.container_of_root()
    host.root_knows("web", roots)
    an_engine(host, SOCKET, "hang", 1)
    began = time.monotonic()
    host.find("web")
    said = host.find("other", status=69).stderr
    # Twice the 1.5 s that users' engines are given, and two starts of Python.
    assert time.monotonic() - began < 15
    assert "no container matches 'other'" in said
    assert f"{SOCKET} ({THEIRS}): timed out" in said


def test_a_user_who_listens_on_a_socket_of_roots_speaks_only_for_themselves(
    host: PrivateHost,
) -> None:
    # Root's directory and name, but the process behind it is the user's.
    victim = host.container_of_root()
    an_engine(host, SOCKET, "good", victim)
    host.as_root("ln", SOCKET, "/run/docker.sock")
    host.as_root("chown", "0:0", SOCKET)
    assert f"not in a user namespace of user {MALLORY}" in host.find("web", status=69).stderr


def test_a_demanded_engine_is_whose_it_is(host: PrivateHost) -> None:
    victim = host.container_of_root()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    an_engine(host, str(port), "good", victim)
    an_engine(host, f"/run/user/{MALLORY}/other.sock", "good", victim)
    for address in (f"tcp://127.0.0.1:{port}", f"unix:///run/user/{MALLORY}/other.sock"):
        env = {"PATH": "/usr/bin:/bin", "DOCKER_HOST": address}
        said = host.find("web", status=69, env=env).stderr
        assert f"not in a user namespace of user {MALLORY}" in said, address


@pytest.mark.parametrize(
    "plant",
    [
        "ln -s /run/docker.sock docker.sock",
        "ln -s docker.sock docker.sock",
        "mkfifo docker.sock",
        "mkdir docker.sock",
        "touch docker.sock",
    ],
)
def test_what_is_no_socket_of_theirs_is_no_engine(host: PrivateHost, plant: str) -> None:
    host.as_user(plant)
    said = host.find("other", status=69).stderr
    assert "no container matches 'other'" in said
    assert "Traceback" not in said


def test_a_link_put_in_an_engines_place_does_not_lead_root_to_its_own(host: PrivateHost) -> None:
    # Both say the same id, which anybody can read in the names of cgroups.
    theirs, roots = host.container_of(), host.container_of_root()
    an_engine(host, SOCKET, "swap", theirs)
    an_engine_of_roots(host, "good", roots, "db")
    result = host.zomtrace("stop", "-c", "web", "--grace", "0.3", "-d", "5", status=None)
    assert not host.path("/run/docker.sock.asked").exists()
    assert result.status == 69
    assert "a symbolic link" in result.stderr
    assert is_alive(roots)


def test_a_name_is_no_users_while_roots_engine_does_not_answer(host: PrivateHost) -> None:
    theirs = host.container_of()
    host.user_knows("web", theirs)
    an_engine_of_roots(host, "hang", 1, "web")
    for arguments in (("-c", "web"), ("stop", "-c", "web")):
        result = host.zomtrace(*arguments, "-d", "0.2", status=69)
        assert f"web may be web (runc, {THEIRS})" in result.stderr
        assert "/run/docker.sock: timed out" in result.stderr
    assert is_alive(theirs)


def test_a_port_that_another_user_took_meanwhile_is_not_spoken_to(host: PrivateHost) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # When it was asked whose it is, nobody listened: the address counts as root's.
    an_engine(host, str(port), "good", 1)
    with pytest.raises(EngineUnreachableError, match=f"user {MALLORY} now listens there"):
        DockerEngine(f"tcp://127.0.0.1:{port}")
