"""Containers as the real engines run them: found, told apart, stopped."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.dockerd import IMAGE, Dockerd
from tests.live.exit_oracle import ExitOracle
from tests.live.other_user import as_nobody
from tests.live.podman import Podman
from tests.live.rootfs import build_rootfs
from tests.live.runc import Runc
from tests.live.waiting import wait_for
from tests.unit.container_samples import cri_annotations
from tracer.containers.engine_events import read_engine_events
from tracer.containers.namespaces import parse_pidns, resolve_pidns
from tracer.containers.paths import ContainerdState, OciRoot, RuntimePaths
from tracer.containers.resolve import resolve_containers, running_containers
from tracer.containers.stop import stop_container
from tracer.errors import (
    AmbiguousTargetError,
    PrivilegeError,
    RuntimeUnreachableError,
    TargetNotFoundError,
    UnavailableError,
    UsageError,
)
from tracer.model.proc_status import ProcStat
from tracer.model.target import Container

pytestmark = pytest.mark.root


def pidns_of(pid: int) -> int:
    return Path(f"/proc/{pid}/ns/pid").stat().st_ino


def start_ns(pid: int) -> int:
    return ProcStat.parse(Path(f"/proc/{pid}/stat").read_bytes()).start_ticks * 10_000_000


@pytest.fixture
def find(docker: Dockerd) -> Callable[[str], Container]:
    """Resolve one name among the containers of the private engine."""

    def resolve(name: str) -> Container:
        (container,) = resolve_containers([name], RuntimePaths(docker_host=docker.url))
        return container

    return resolve


# --- Docker ------------------------------------------------------------------


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


def test_a_container_in_the_hosts_pid_namespace_is_told_by_cgroup(
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


# --- engines that refuse ---------------------------------------------------------


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
    for path in (tmp_path, *tmp_path.parents[:2], readable, *readable.rglob("*")):
        path.chmod(0o755)
    error = as_nobody(
        lambda: resolve_containers([container.id], RuntimePaths(oci_roots=(OciRoot(readable),)))
    )
    assert isinstance(error, PrivilegeError)
    assert str(container.pid) in str(error)


def test_an_engine_that_is_gone_leaves_a_socket_that_is_named(
    docker: Dockerd, tmp_path: Path
) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    with pytest.raises(RuntimeUnreachableError, match="Connection refused"):
        resolve_containers(["nope"], RuntimePaths(docker_sockets=(path,)))
    # What another engine knows is found all the same.
    docker.run("--name", "web", IMAGE, "sleep", "1000")
    paths = RuntimePaths(docker_host=docker.url, docker_sockets=(path,))
    assert resolve_containers(["web"], paths)[0].name == "web"


# --- runc, crun, containerd, podman --------------------------------------------


@pytest.mark.parametrize("name", ["runc", "crun"])
def test_a_plain_runtimes_container(name: str, request: pytest.FixtureRequest) -> None:
    runtime: Runc = request.getfixturevalue(name)
    started = runtime.run(
        ["sleep", "1000"], annotations={"org.opencontainers.image.stopSignal": "SIGINT"}
    )
    (container,) = resolve_containers([started.id])
    assert (container.runtime, container.init_host_pid) == (name, started.pid)
    assert (container.id, container.name) == (started.id, started.id)
    assert container.has_own_pidns
    assert container.init_start_boot_ns == start_ns(started.pid)
    assert container.stop_signo == signal.SIGINT
    assert container.cgroup_id is not None
    assert container.engine_address == str(runtime.root)


def test_a_hosts_default_directories_are_looked_at(runc: Runc) -> None:
    started = runc.run(["sleep", "1000"])
    assert started.id in {one.id for one in running_containers()}


def test_a_plain_runtimes_prefix_may_be_ambiguous(runc: Runc) -> None:
    one, two = runc.run(["sleep", "1000"]), runc.run(["sleep", "1000"])
    shared, _, _ = one.id.rpartition("-")
    assert two.id.startswith(shared)
    with pytest.raises(AmbiguousTargetError) as caught:
        resolve_containers([shared])
    assert one.id in caught.value.message
    assert two.id in caught.value.message


def test_a_shared_namespace_belongs_to_its_first_container(runc: Runc) -> None:
    pause = runc.run(["sleep", "1000"])
    member = runc.run(
        ["sleep", "1000"],
        namespaces={"pid": f"/proc/{pause.pid}/ns/pid"},
    )
    first, second = resolve_containers([pause.id, member.id])
    assert first.pidns_inum == second.pidns_inum
    assert (first.has_own_pidns, second.has_own_pidns) == (True, False)
    assert first.cgroup_id != second.cgroup_id


def test_a_container_that_ended_by_itself_is_stopped(runc: Runc) -> None:
    started = runc.run(["true"])
    wait_for(lambda: "stopped" in runc.cli("state", started.id), "it ended")
    with pytest.raises(TargetNotFoundError, match="exists but is stopped"):
        resolve_containers([started.id])


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


def test_a_kubernetes_container_has_its_pod(cri: Callable[..., RuntimePaths]) -> None:
    container_id = "ab" * 32
    paths = cri(container_id, cri_annotations("web", "shop/front-1"))
    (container,) = resolve_containers(["web"], paths)
    assert (container.id, container.runtime) == (container_id, "cri")
    assert (container.name, container.pod) == ("web", "shop/front-1")
    assert container.engine_namespace == "k8s.io"
    assert container.has_own_pidns


def test_podmans_container_by_name(podman: Podman) -> None:
    full_id = podman.run("--name", "zt-web", "--stop-signal", "SIGQUIT", IMAGE, "sleep", "1000")
    (container,) = resolve_containers(["zt-web"])
    assert (container.id, container.runtime) == (full_id, "podman")
    assert container.init_host_pid == podman.pid(full_id)
    assert container.stop_signo == signal.SIGQUIT
    assert container.engine_address == str(podman.storage)


def test_podmans_stopped_container_exists(podman: Podman) -> None:
    podman.run("--name", "zt-done", IMAGE, "true")
    podman.cli("wait", "zt-done")
    with pytest.raises(TargetNotFoundError, match=r"zt-done .* exists but is not running"):
        resolve_containers(["zt-done"], RuntimePaths(podman_storages=(podman.storage,)))


# --- namespaces ----------------------------------------------------------------


@pytest.fixture
def unshared() -> Iterator[int]:
    """The init of a PID namespace that no runtime knows."""
    with subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", "sleep", "1000"]
    ) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        yield int(wait_for(lambda: children.read_text().split(), "unshare forks")[0])
        process.kill()


def test_a_pid_namespace_by_its_number(unshared: int) -> None:
    inum = pidns_of(unshared)
    container = resolve_pidns(inum)
    assert (container.init_host_pid, container.pidns_inum) == (unshared, inum)
    assert container.has_own_pidns
    assert container.init_start_boot_ns == start_ns(unshared)
    text = str(Path(f"/proc/{unshared}/ns/pid").readlink())
    assert parse_pidns(text) == parse_pidns(str(inum)) == inum
    with pytest.raises(UnavailableError, match="no runtime that could stop it"):
        stop_container(container, None)


def test_a_pid_namespace_that_nobody_is_in_is_not_found(unshared: int) -> None:
    with pytest.raises(TargetNotFoundError) as caught:
        resolve_pidns(4_294_967_295)
    # Five are listed; ours may be further down on a busy host.
    assert (caught.value.hint or "").startswith("there are: 40265")


@pytest.mark.parametrize("text", ["", "pid", "pid:[]", "pid:[1", "1]", "net:[1]", "-1", "1" * 20])
def test_what_is_no_namespace_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_pidns(text)


# --- stopping -----------------------------------------------------------------


def seconds(action: Callable[[], Any]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


def test_docker_stops_with_the_grace_asked_for_and_tells_of_it(
    docker: Dockerd, find: Callable[[str], Container]
) -> None:
    full_id = docker.run("--name", "web", IMAGE, "sleep", "1000")
    container = find("web")
    since_unix_ns = time.time_ns()
    # sleep as PID 1 has no handler: the grace is waited out in full.
    assert 1 <= seconds(lambda: stop_container(container, 1.0)) < 5
    assert docker.pid(full_id) == 0
    events = read_engine_events([container], since_unix_ns)
    told = [(one["action"], one["signal"], one["exit_code"]) for one in events]
    assert told[0] == ("kill", "SIGTERM", None)
    assert ("kill", "SIGKILL", None) in told
    assert ("die", None, 137) in told
    assert ("stop", None, None) in told
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
    events = read_engine_events([container], since_unix_ns)
    assert [(one["action"], one["detail"], one["signal"]) for one in events] == [
        ("exec_create", "true", None),
        ("exec_start", "true", None),
        ("exec_die", None, None),
        ("kill", None, "SIGHUP"),
    ]
    assert read_engine_events([container], time.time_ns()) == []


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
    with pytest.raises(TargetNotFoundError, match="not running any more"):
        stop_container(container, 0)


def test_a_runtime_whose_command_is_missing_is_named(
    runc: Runc, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = runc.run(["sleep", "1000"])
    (container,) = resolve_containers([started.id])
    monkeypatch.setattr("tracer.containers.stop._find_program", lambda name: None)
    with pytest.raises(RuntimeUnreachableError, match="there is no runc here"):
        stop_container(container, 0)
