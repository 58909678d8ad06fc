"""Which container a name means, and every way in which it means none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.container_samples import (
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
from tracer.containers import state_files
from tracer.containers.paths import OciRoot, RuntimePaths
from tracer.containers.resolve import resolve_containers, running_containers
from tracer.errors import (
    AmbiguousTargetError,
    RuntimeUnreachableError,
    TargetNotFoundError,
    UsageError,
)


@pytest.fixture
def init() -> Iterator[int]:
    """A process that lives as long as the test."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


@pytest.fixture
def other_init() -> Iterator[int]:
    """Another one."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


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
    with pytest.raises(TargetNotFoundError, match="no container answers to '3f'"):
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


def test_a_container_whose_init_is_gone_exists_but_is_stopped(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as process:
        a_runc_state(tmp_path, "web", process.pid)
    with pytest.raises(TargetNotFoundError, match=r"web .* exists but is stopped"):
        resolve_containers(["web"], oci_only(tmp_path))


def test_an_init_whose_pid_was_reused_is_not_taken_for_the_container(
    tmp_path: Path, init: int
) -> None:
    a_runc_state(tmp_path, "web", init, ticks=start_ticks(init) - 1)
    with pytest.raises(TargetNotFoundError, match="exists but is stopped"):
        resolve_containers(["web"], oci_only(tmp_path))


def test_a_task_whose_pid_is_another_process_is_refused(tmp_path: Path, init: int) -> None:
    # No exact start is known of it, and its cgroup does not carry the id.
    task = a_containerd_task(tmp_path, WEB_ID, init)
    with pytest.raises(TargetNotFoundError, match=r"that is .*, another one"):
        resolve_containers([WEB_ID], RuntimePaths(containerds=(task,)))


def test_what_runs_is_listed_where_a_name_finds_nothing(tmp_path: Path, init: int) -> None:
    paths = oci_only(a_runc_state(tmp_path, "web", init))
    with pytest.raises(TargetNotFoundError) as caught:
        resolve_containers(["wbe"], paths)
    assert caught.value.hint == "running: web (runc)"


def test_a_host_without_any_runtime_says_that_nothing_runs() -> None:
    with pytest.raises(TargetNotFoundError) as caught:
        resolve_containers(["web"], RuntimePaths())
    assert caught.value.hint == "none is running"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../../etc/passwd",
        "/etc/passwd",
        "web/../db",
        "web\0",
        "web\n",
        "we b",
        "\x1b[2J",
        "wéb",
        "٣٣٣",
        "a" * 256,
        "a" * 1_000_000,
    ],
)
def test_a_hostile_name_is_refused_before_any_file_is_opened(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a file was opened")

    for function in ("open", "scandir", "readlink", "stat"):
        monkeypatch.setattr(os, function, refuse)
    with pytest.raises(UsageError) as caught:
        resolve_containers(["web", name], RuntimePaths())
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"web"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"init_process_pid": "7"}',
        b'{"init_process_pid": -1}',
        b'{"init_process_pid": true, "config": []}',
        b'{"init_process_pid": 1e3, "config": {"labels": {"a": 1}}}',
        b'{"init_process_pid": 99999999999999999999, "config": {"labels": [1, null]}}',
    ],
)
def test_state_that_is_broken_hides_no_other_container(
    tmp_path: Path, init: int, state: bytes
) -> None:
    for name in ("broken", "zz-broken"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "state.json").write_bytes(state)
    paths = oci_only(a_runc_state(tmp_path, "web", init))
    (container,) = resolve_containers(["web"], paths)
    assert container.init_host_pid == init
    with pytest.raises(TargetNotFoundError):
        resolve_containers(["broken"], paths)


def test_a_pipe_or_a_link_in_place_of_state_is_not_followed(tmp_path: Path, init: int) -> None:
    elsewhere = a_runc_state(tmp_path / "elsewhere", "web", init)
    root = tmp_path / "runc"
    for name in ("pipe", "link", "directory"):
        (root / name).mkdir(parents=True)
    os.mkfifo(root / "pipe/state.json")
    (root / "link/state.json").symlink_to(elsewhere / "web/state.json")
    (root / "directory/state.json").mkdir()
    assert running_containers(oci_only(root)) == ()


def test_state_of_absurd_size_is_not_read(
    tmp_path: Path, init: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = oci_only(a_runc_state(tmp_path, "web", init))
    monkeypatch.setattr(state_files, "_LIMIT", 16)
    assert running_containers(paths) == ()


def test_another_users_state_speaks_for_that_users_processes_only(
    tmp_path: Path, init: int
) -> None:
    # Ours is no process of a user namespace which that user made.
    a_runc_state(tmp_path, "web", init)
    paths = RuntimePaths(oci_roots=(OciRoot(tmp_path, owner_uid=54321),))
    assert running_containers(paths) == ()


def test_each_container_is_told_once_and_in_the_order_asked_for(
    tmp_path: Path, init: int, other_init: int
) -> None:
    a_runc_state(tmp_path, "db", other_init)
    paths = oci_only(a_runc_state(tmp_path, "web", init))
    found = resolve_containers(["web", "db", "web"], paths)
    assert [one.id for one in found] == ["web", "db"]
    assert [one.id for one in running_containers(paths)] == ["db", "web"]


def test_an_init_may_vanish_at_every_single_step(
    tmp_path: Path, init: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = oci_only(a_runc_state(tmp_path, "web", init))
    steps = 0
    real = {name: getattr(os, name) for name in ("open", "readlink")}

    def vanish_at(step: int) -> None:
        def wrap(name: str) -> Any:
            def call(path: Any, *args: Any, **kwargs: Any) -> Any:
                nonlocal steps
                if kwargs.get("dir_fd") is not None or path == f"/proc/{init}":
                    steps += 1
                    if steps == step:
                        raise ProcessLookupError(3, "No such process")
                return real[name](path, *args, **kwargs)

            return call

        for name in real:
            monkeypatch.setattr(os, name, wrap(name))

    outcomes = []
    for step in range(1, 100):
        steps = 0
        vanish_at(step)
        try:
            resolve_containers(["web"], paths)
        except TargetNotFoundError as error:
            outcomes.append(error.message)
        else:
            break
    monkeypatch.undo()
    assert len(outcomes) >= 6
    assert set(outcomes) == {
        "container web (runc) exists but is stopped",
        "container web (runc) ended while it was being looked up",
    }


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
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
