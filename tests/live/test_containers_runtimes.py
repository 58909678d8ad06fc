"""Containers of runc, crun, containerd and podman, found without Docker."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.support.containers import cri_annotations, start_ns
from tests.support.dockerd import IMAGE
from tests.support.podman import Podman
from tests.support.runc import Runc
from tests.support.waiting import wait_for
from tracer.containers.paths import RuntimePaths
from tracer.containers.resolve import resolve_containers, running_containers
from tracer.errors import AmbiguousTargetError, TargetNotFoundError

pytestmark = pytest.mark.root


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
