"""Containers stopped through their engine or runtime: signal, grace period, SIGKILL."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.containers import cri_annotations
from tests.support.dockerd import IMAGE, Dockerd
from tests.support.exit_oracle import ExitOracle
from tests.support.podman import Podman
from tests.support.runc import Runc
from tests.support.waiting import wait_for
from tracer.containers.engine_events import read_engine_events
from tracer.containers.paths import RuntimePaths
from tracer.containers.resolve import resolve_containers
from tracer.containers.stop import stop_container
from tracer.errors import RuntimeUnreachableError, TargetNotFoundError
from tracer.model.target import Container

pytestmark = pytest.mark.root


def seconds(action: Callable[[], Any]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


def test_docker_stops_with_the_grace_asked_for_and_reports_it(
    docker: Dockerd, find: Callable[[str], Container]
) -> None:
    full_id = docker.run("--name", "web", IMAGE, "sleep", "1000")
    container = find("web")
    since_unix_ns = time.time_ns()
    # sleep as PID 1 has no handler: the grace is waited out in full.
    assert 1 <= seconds(lambda: stop_container(container, 1.0)) < 5
    assert docker.pid(full_id) == 0
    events, failures = read_engine_events([container], since_unix_ns)
    assert failures == []
    reported = [(one["action"], one["signal"], one["exit_code"]) for one in events]
    assert reported[0] == ("kill", "SIGTERM", None)
    assert ("kill", "SIGKILL", None) in reported
    assert ("die", None, 137) in reported
    assert ("stop", None, None) in reported
    assert all(one["container_id"] == full_id for one in events)
    assert all(since_unix_ns <= one["time_unix_ns"] <= time.time_ns() for one in events)
    with pytest.raises(TargetNotFoundError):
        find("web")


def test_docker_stops_with_the_grace_it_has_configured(
    docker: Dockerd, find: Callable[[str], Container]
) -> None:
    docker.run("--name", "web", "--stop-timeout", "1", IMAGE, "sleep", "1000")
    container = find("web")
    assert 1 <= seconds(lambda: stop_container(container, None)) < 5


def test_dockers_events_hold_execs_and_only_the_containers_asked_for(
    docker: Dockerd, find: Callable[[str], Container]
) -> None:
    docker.run("--name", "web", IMAGE, "sleep", "1000")
    docker.run("--name", "other", IMAGE, "sleep", "1000")
    container = find("web")
    since_unix_ns = time.time_ns()
    docker.cli("exec", "web", "true")
    docker.cli("exec", "other", "true")
    docker.cli("kill", "--signal", "HUP", "web")
    events, failures = read_engine_events([container], since_unix_ns)
    assert failures == []
    assert [(one["action"], one["detail"], one["signal"]) for one in events] == [
        ("exec_create", "true", None),
        ("exec_start", "true", None),
        ("exec_die", None, None),
        ("kill", None, "SIGHUP"),
    ]
    assert read_engine_events([container], time.time_ns()) == ([], [])


@pytest.mark.parametrize("name", ["runc", "crun"])
def test_a_plain_runtimes_container_gets_signal_grace_and_kill(
    name: str, request: pytest.FixtureRequest
) -> None:
    runtime: Runc = request.getfixturevalue(name)
    started = runtime.run(["sleep", "1000"])
    (container,) = resolve_containers([started.id])
    with ExitOracle() as oracle:
        assert 0.5 <= seconds(lambda: stop_container(container, 0.5)) < 5
        assert oracle.wait_for_exit(started.pid).status.signo == signal.SIGKILL


@pytest.mark.parametrize("name", ["runc", "crun"])
def test_an_id_that_looks_like_an_option_stops_no_other_container(
    name: str, request: pytest.FixtureRequest
) -> None:
    runtime: Runc = request.getfixturevalue(name)
    meant = runtime.run(["sleep", "1000"], container_id="--all")
    other = runtime.run(["sleep", "1000"], container_id=str(int(signal.SIGTERM)))
    (container,) = resolve_containers([meant.id])
    with ExitOracle() as oracle:
        stop_container(container, 0.0)
        assert oracle.wait_for_exit(meant.pid).status.signo == signal.SIGKILL
        assert other.pid not in oracle.statuses()


def test_a_container_that_obeys_gets_no_sigkill(runc: Runc) -> None:
    started = runc.run(
        ["sh", "-c", "trap 'exit 3' USR1; echo ready; while :; do sleep 1000 & wait $!; done"],
        annotations={"org.opencontainers.image.stopSignal": "SIGUSR1"},
    )
    wait_for(lambda: started.log.read_text() == "ready\n", "the trap is set")
    (container,) = resolve_containers([started.id])
    with ExitOracle() as oracle:
        assert seconds(lambda: stop_container(container, 60)) < 10
        assert oracle.wait_for_exit(started.pid).status.exit_code == 3


def test_a_container_of_containerd_is_stopped_by_ctr(cri: Callable[..., RuntimePaths]) -> None:
    container_id = "cd" * 32
    paths = cri(container_id, cri_annotations("web", "shop/front-1"))
    (container,) = resolve_containers(["web"], paths)
    with ExitOracle() as oracle:
        stop_container(container, 0.3)
        assert oracle.wait_for_exit(container.init_host_pid).status.signo == signal.SIGKILL


def test_a_container_of_podman_is_stopped_by_podman(podman: Podman) -> None:
    full_id = podman.run("--name", "zt-web", IMAGE, "sleep", "1000")
    (container,) = resolve_containers([full_id])
    stop_container(container, 1)
    assert podman.cli("inspect", "--format", "{{.State.Status}}", full_id) == "exited"


def test_what_ended_meanwhile_is_not_stopped_again(runc: Runc) -> None:
    started = runc.run(["sleep", "1000"])
    (container,) = resolve_containers([started.id])
    runc.cli("delete", "--force", started.id)
    wait_for(lambda: not Path(f"/proc/{started.pid}").exists(), "its init is reaped")
    with pytest.raises(TargetNotFoundError, match="no longer running"):
        stop_container(container, 0)


def test_a_runtime_whose_command_is_missing_is_named(
    runc: Runc, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = runc.run(["sleep", "1000"])
    (container,) = resolve_containers([started.id])
    monkeypatch.setattr("tracer.containers.stop.find_program", lambda name: None)
    with pytest.raises(RuntimeUnreachableError, match="runc was not found in"):
        stop_container(container, 0)
