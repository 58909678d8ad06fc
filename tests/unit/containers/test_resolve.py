"""Which container a name means, and every way in which it means none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.containers import (
    DB_ID,
    WEB_ID,
    a_containerd_task,
    a_crun_status,
    a_podman_storage,
    a_runc_state,
    cri_annotations,
    oci_only,
    start_ticks,
)
from tracer.containers.paths import OciRoot, RuntimePaths
from tracer.containers.resolve import resolve_containers, running_containers
from tracer.errors import AmbiguousTargetError, TargetNotFoundError


def test_a_full_id_finds_its_container(tmp_path: Path, init: int) -> None:
    paths = oci_only(a_runc_state(tmp_path, WEB_ID, init))
    (container,) = resolve_containers([WEB_ID], paths)
    assert (container.id, container.name, container.runtime) == (WEB_ID, None, "runc")
    assert container.init_host_pid == init
    assert container.init_start_boot_ns == start_ticks(init) * 10_000_000
    assert container.pidns_inum == Path("/proc/self/ns/pid").stat().st_ino
    assert not container.has_own_pidns
    assert container.engine_address == str(tmp_path)


def test_an_unambiguous_prefix_finds_its_container(
    tmp_path: Path, init: int, other_init: int
) -> None:
    a_runc_state(tmp_path, WEB_ID, init)
    paths = oci_only(a_runc_state(tmp_path, DB_ID, other_init))
    (container,) = resolve_containers(["3f2"], paths)
    assert container.id == WEB_ID


def test_a_prefix_of_two_ids_is_ambiguous_and_lists_both(
    tmp_path: Path, init: int, other_init: int
) -> None:
    paths = oci_only(a_runc_state(tmp_path, WEB_ID + "1", init))
    a_runc_state(tmp_path, WEB_ID + "2", other_init)
    with pytest.raises(AmbiguousTargetError) as caught:
        resolve_containers([WEB_ID], paths)
    assert WEB_ID + "1" in caught.value.message
    assert WEB_ID + "2" in caught.value.message
    assert caught.value.exit_code == 69


def test_a_prefix_of_two_letters_finds_nothing(tmp_path: Path, init: int) -> None:
    paths = oci_only(a_runc_state(tmp_path, WEB_ID, init))
    with pytest.raises(TargetNotFoundError, match="no container matches '3f'"):
        resolve_containers(["3f"], paths)


def test_an_exact_name_goes_before_a_prefix_of_an_id(
    tmp_path: Path, init: int, other_init: int
) -> None:
    a_runc_state(tmp_path / "runc", WEB_ID, init)
    named = a_containerd_task(
        tmp_path / "containerd",
        DB_ID,
        other_init,
        annotations={"nerdctl/name": "3f2a", "nerdctl/namespace": "default"},
    )
    a_runc_state(tmp_path / "runc", DB_ID, other_init)
    paths = RuntimePaths(oci_roots=(OciRoot(tmp_path / "runc"),), containerds=(named,))
    (container,) = resolve_containers(["3f2a"], paths)
    assert container.id == DB_ID


def test_an_exact_id_goes_before_another_containers_name(
    tmp_path: Path, init: int, other_init: int
) -> None:
    task = a_containerd_task(
        tmp_path / "containerd", DB_ID, other_init, annotations={"nerdctl/name": "web"}
    )
    paths = RuntimePaths(
        oci_roots=(OciRoot(a_runc_state(tmp_path / "runc", "web", init)),), containerds=(task,)
    )
    (container,) = resolve_containers(["web"], paths)
    assert (container.id, container.runtime) == ("web", "runc")


def test_a_container_two_runtimes_know_is_found_once_as_the_higher_ones(
    tmp_path: Path, init: int
) -> None:
    task = a_containerd_task(
        tmp_path / "containerd", WEB_ID, init, annotations=cri_annotations("web", "shop/front-1")
    )
    a_runc_state(tmp_path / "runc", WEB_ID, init)
    paths = RuntimePaths(oci_roots=(OciRoot(tmp_path / "runc"),), containerds=(task,))
    (container,) = resolve_containers(["web", WEB_ID, "3f2a"], paths)
    assert (container.runtime, container.name, container.pod) == ("cri", "web", "shop/front-1")
    assert container.engine_address == str(tmp_path / "containerd/containerd.sock")
    assert container.engine_namespace == "k8s.io"


def test_the_same_name_in_two_pods_is_ambiguous_and_names_the_pods(
    tmp_path: Path, init: int, other_init: int
) -> None:
    for container_id, pid, pod in ((WEB_ID, init, "a/one"), (DB_ID, other_init, "b/two")):
        task = a_containerd_task(
            tmp_path / "containerd", container_id, pid, annotations=cri_annotations("web", pod)
        )
    with pytest.raises(AmbiguousTargetError) as caught:
        resolve_containers(["web"], RuntimePaths(containerds=(task,)))
    assert "pod a/one" in caught.value.message
    assert "pod b/two" in caught.value.message


def test_a_pods_sandbox_does_not_answer_to_a_name(tmp_path: Path, init: int) -> None:
    task = a_containerd_task(
        tmp_path / "containerd",
        WEB_ID,
        init,
        annotations=cri_annotations("web", "shop/front-1", kind="sandbox"),
    )
    with pytest.raises(TargetNotFoundError):
        resolve_containers(["web"], RuntimePaths(containerds=(task,)))


@pytest.mark.parametrize("runtime", ["runc", "crun"])
def test_podman_names_come_from_its_storage(tmp_path: Path, init: int, runtime: str) -> None:
    storage = a_podman_storage(tmp_path / "storage", {WEB_ID: "web", DB_ID: "db"})
    bundle = str(storage / "overlay-containers" / WEB_ID / "userdata")
    annotations = {
        "io.container.manager": "libpod",
        "io.podman.annotations.init": "FALSE",
        "org.opencontainers.image.stopSignal": "3",
    }
    root = tmp_path / runtime
    if runtime == "runc":
        a_runc_state(root, WEB_ID, init, annotations=annotations | {"bundle": bundle})
    else:
        a_crun_status(root, WEB_ID, init, annotations=annotations, bundle=bundle)
    (container,) = resolve_containers(["web"], oci_only(root))
    assert (container.id, container.runtime, container.stop_signo) == (WEB_ID, "podman", 3)
    assert container.engine_address == str(storage)


def test_a_stopped_podman_container_exists_but_does_not_run(tmp_path: Path) -> None:
    storage = a_podman_storage(tmp_path, {WEB_ID: "web"})
    with pytest.raises(TargetNotFoundError, match=r"web .* exists but is not running"):
        resolve_containers(["web"], RuntimePaths(podman_storages=(storage,)))


def test_what_runs_is_listed_where_a_name_finds_nothing(tmp_path: Path, init: int) -> None:
    paths = oci_only(a_runc_state(tmp_path, "web", init))
    with pytest.raises(TargetNotFoundError) as caught:
        resolve_containers(["wbe"], paths)
    assert caught.value.hint == "running: web (runc)"


def test_a_host_without_any_runtime_says_that_nothing_runs() -> None:
    with pytest.raises(TargetNotFoundError) as caught:
        resolve_containers(["web"], RuntimePaths())
    assert caught.value.hint == "no container is running"


def test_each_container_is_reported_once_and_in_the_order_asked_for(
    tmp_path: Path, init: int, other_init: int
) -> None:
    a_runc_state(tmp_path, "db", other_init)
    paths = oci_only(a_runc_state(tmp_path, "web", init))
    found = resolve_containers(["web", "db", "web"], paths)
    assert [one.id for one in found] == ["web", "db"]
    assert [one.id for one in running_containers(paths)] == ["db", "web"]
