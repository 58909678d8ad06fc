"""Docker's containers: found by name, id and prefix, with their namespace, cgroup and settings."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.containers import pidns_of, start_ns
from tests.support.dockerd import IMAGE, Dockerd
from tracer.containers.paths import ContainerdState, OciRoot, RuntimePaths
from tracer.containers.resolve import resolve_containers, running_containers
from tracer.errors import TargetNotFoundError, UsageError
from tracer.model.target import Container

pytestmark = pytest.mark.root


def test_docker_by_id_by_prefix_and_by_name(
    docker: Dockerd, find: Callable[[str], Container]
) -> None:
    full_id = docker.run("--name", "web", IMAGE, "sleep", "1000")
    pid = docker.pid(full_id)
    expected = Container(
        id=full_id,
        name="web",
        runtime="docker",
        init_host_pid=pid,
        init_start_boot_ns=start_ns(pid),
        pidns_inum=pidns_of(pid),
        has_own_pidns=True,
        cgroup_path=find(full_id).cgroup_path,
        cgroup_id=find(full_id).cgroup_id,
        stop_signo=signal.SIGTERM,
        cgroup_hierarchy="v2",
        engine_address=docker.url,
    )
    for name in ("web", full_id, full_id[:12], full_id[:3]):
        assert find(name) == expected


def test_the_cgroup_is_the_one_the_init_is_in(
    docker: Dockerd, find: Callable[[str], Container]
) -> None:
    docker.run("--name", "web", IMAGE, "sleep", "1000")
    container = find("web")
    assert container.cgroup_path is not None
    directory = Path(container.cgroup_path)
    assert directory.stat().st_ino == container.cgroup_id
    assert str(container.init_host_pid) in (directory / "cgroup.procs").read_text().split()


def test_stop_signal_and_grace_are_the_configured_ones(
    docker: Dockerd, find: Callable[[str], Container]
) -> None:
    docker.run(
        "--name", "web", "--stop-signal", "SIGRTMIN+3", "--stop-timeout", "7",
        IMAGE, "sleep", "1000",
    )  # fmt: skip
    container = find("web")
    assert (container.stop_signo, container.stop_timeout_s) == (37, 7.0)


def test_a_container_in_the_hosts_pid_namespace_is_identified_by_cgroup(
    docker: Dockerd, find: Callable[[str], Container]
) -> None:
    docker.run("--name", "host", "--pid=host", IMAGE, "sleep", "1000")
    container = find("host")
    assert not container.has_own_pidns
    assert container.pidns_inum == pidns_of(os.getpid())
    assert container.cgroup_id is not None


def test_a_container_in_anothers_pid_namespace_does_not_own_it(
    docker: Dockerd, find: Callable[[str], Container]
) -> None:
    docker.run("--name", "owner", IMAGE, "sleep", "1000")
    docker.run("--name", "guest", "--pid=container:owner", IMAGE, "sleep", "1000")
    owner, guest = find("owner"), find("guest")
    assert owner.pidns_inum == guest.pidns_inum
    assert (owner.has_own_pidns, guest.has_own_pidns) == (True, False)
    assert owner.cgroup_id != guest.cgroup_id


def test_a_stopped_container_exists_but_is_exited(
    docker: Dockerd, find: Callable[[str], Container]
) -> None:
    full_id = docker.run("--name", "done", IMAGE, "true")
    docker.cli("wait", full_id)
    for name in ("done", full_id, full_id[:12]):
        with pytest.raises(TargetNotFoundError, match=r"done .* exists but is exited"):
            find(name)


def test_a_created_container_exists_but_does_not_run(
    docker: Dockerd, find: Callable[[str], Container]
) -> None:
    docker.cli("create", "--name", "later", IMAGE, "true")
    with pytest.raises(TargetNotFoundError, match=r"later .* exists but is created"):
        find("later")


def test_a_paused_container_is_found(docker: Dockerd, find: Callable[[str], Container]) -> None:
    docker.run("--name", "web", IMAGE, "sleep", "1000")
    docker.cli("pause", "web")
    assert find("web").name == "web"
    docker.cli("unpause", "web")


def test_nothing_found_lists_what_runs(docker: Dockerd, find: Callable[[str], Container]) -> None:
    docker.run("--name", "web", IMAGE, "sleep", "1000")
    with pytest.raises(TargetNotFoundError) as caught:
        find("wbe")
    assert "web (docker " in (caught.value.hint or "")


def test_several_containers_come_in_the_order_asked_for(docker: Dockerd) -> None:
    for name in ("one", "two", "three"):
        docker.run("--name", name, IMAGE, "sleep", "1000")
    found = resolve_containers(["three", "one", "three"], RuntimePaths(docker_host=docker.url))
    assert [container.name for container in found] == ["three", "one"]


def test_a_container_docker_containerd_and_runc_know_is_one(docker: Dockerd) -> None:
    full_id = docker.run("--name", "web", IMAGE, "sleep", "1000")
    # Where runc keeps it is hidden in the engine's own mount namespace, but for Docker's.
    runc_root = docker.exec_root / "runtime-runc/moby"
    assert (runc_root / full_id / "state.json").exists()
    paths = RuntimePaths(
        docker_host=docker.url,
        docker_sockets=(docker.socket,),
        containerds=(ContainerdState(docker.containerd_state, docker.containerd_socket),),
        oci_roots=(OciRoot(runc_root),),
    )
    (container,) = running_containers(paths)
    assert (container.runtime, container.name) == ("docker", "web")
    for known_by in (
        RuntimePaths(containerds=paths.containerds),
        RuntimePaths(oci_roots=paths.oci_roots),
    ):
        (same,) = resolve_containers([full_id], known_by)
        assert same.init_host_pid == container.init_host_pid
        assert same.cgroup_id == container.cgroup_id


@pytest.mark.parametrize("name", ["../web", "/web", "web\0", "web/..", "w" * 5000, "$(reboot)"])
def test_a_hostile_name_reaches_no_engine(
    docker: Dockerd, find: Callable[[str], Container], name: str
) -> None:
    docker.run("--name", "web", IMAGE, "sleep", "1000")
    with pytest.raises(UsageError):
        find(name)


def test_docker_host_of_the_environment_is_honoured(
    docker: Dockerd, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker.run("--name", "zt-by-environment", IMAGE, "sleep", "1000")
    monkeypatch.setenv("DOCKER_HOST", docker.url)
    (container,) = resolve_containers(["zt-by-environment"])
    assert container.engine_address == docker.url
