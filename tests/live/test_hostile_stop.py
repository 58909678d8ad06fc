"""``zomtrace stop`` does nothing with root's privileges that another user wrote down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.strangers import MALLORY, PrivateHost, crun_status, is_alive
from tracer.containers import stop
from tracer.errors import UnavailableError
from tracer.model.target import Container

pytestmark = pytest.mark.root
RUNTIMES = ("crun", "runc", "podman")
STORAGE = "home/.local/share/containers/storage"


@pytest.fixture
def host() -> Iterator[PrivateHost]:
    with PrivateHost() as host:
        host.add_user()
        yield host


def test_a_user_cannot_have_root_kill_a_process_of_roots(host: PrivateHost) -> None:
    victim = host.process_of_root().pid
    init = host.container_of()
    host.user_knows("web", init)
    # crun, which root would have run on this directory, reads this file.
    host.write_as_user(Path("/run/user/4321/runc/web/status"), crun_status(victim, "/"))
    programs = host.watch_programs(*RUNTIMES)
    result = host.zomtrace("stop", "-c", "web", "--grace", "0.3", "-d", "10")
    assert is_alive(victim)
    assert not is_alive(init)
    assert not programs.exists()
    stop = result.stop
    assert stop["container_name"] == f"web (user {MALLORY}'s)"
    assert (stop["init_host_pid"], stop["escalated"], stop["outcome"]) == (init, True, "stopped")
    assert result.process(host_pid=init)["cause"] == "grace_expired"


def test_a_users_podman_container_is_stopped_and_its_storage_stays_theirs(
    host: PrivateHost,
) -> None:
    container_id = "ab" * 32
    init = host.container_of()
    storage = Path(f"/run/user/{MALLORY}/{STORAGE}")
    userdata = storage / "overlay-containers" / container_id / "userdata"
    state = Path(f"/run/user/{MALLORY}/crun/{container_id}")
    host.write_as_user(
        storage / "overlay-containers/containers.json", [{"id": container_id, "names": ["web"]}]
    )
    host.write_as_user(
        userdata / "config.json", {"annotations": {"io.container.manager": "libpod"}}
    )
    host.write_as_user(state / "status", crun_status(init, str(userdata)))
    programs = host.watch_programs(*RUNTIMES)
    result = host.zomtrace("stop", "-c", "web", "--grace", "0.3", "-d", "10")
    assert result.report["containers"][0]["runtime"] == "podman"
    assert not is_alive(init)
    assert not programs.exists()
    owners = {path.lstat().st_uid for path in host.path(f"/run/user/{MALLORY}").rglob("*")}
    assert owners == {MALLORY}


def test_roots_state_that_points_into_a_users_place_runs_no_podman_on_it(
    host: PrivateHost,
) -> None:
    # Root once said `podman --root /home/alice/...`: the state is root's, the storage alice's.
    container_id = "cd" * 32
    init = host.container_of_root()
    host.as_user("mkdir -p storage/overlay-containers/x/userdata")
    bundle = f"/run/user/{MALLORY}/storage/overlay-containers/{container_id}/userdata"
    host.root_knows(container_id, init, {"bundle": bundle, "io.container.manager": "libpod"})
    programs = host.watch_programs(*RUNTIMES)
    host.zomtrace("stop", "-c", container_id, "--grace", "0.3", "-d", "10")
    assert not is_alive(init)
    assert not programs.exists()


def test_roots_own_container_is_still_stopped_by_its_runtime(host: PrivateHost) -> None:
    init = host.container_of_root()
    host.root_knows("web", init)
    programs = host.watch_programs("runc")
    host.zomtrace("stop", "-c", "web", "--grace", "0.3", "-d", "2", status=69)
    (ran, *_) = programs.read_text().splitlines()
    assert ran.endswith(" --root /run/runc kill -- web 15")


def test_the_runtime_that_runs_is_not_the_callers_choice(host: PrivateHost, tmp_path: Path) -> None:
    init = host.container_of_root()
    host.root_knows("web", init)
    ran = tmp_path / "ran"
    (tmp_path / "runc").write_text(f"#!/bin/sh\ntouch {ran}\n")
    (tmp_path / "runc").chmod(0o755)
    programs = host.watch_programs("runc")
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": "/root"}
    host.zomtrace("stop", "-c", "web", "--grace", "0.3", "-d", "2", status=69, env=env)
    assert programs.exists()
    assert not ran.exists()


def test_a_runtime_that_says_it_is_done_and_is_not_is_found_out(
    host: PrivateHost, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    init = host.container_of_root()
    container = Container(
        id="ab" * 32,
        name="web",
        runtime="podman",
        init_host_pid=init,
        init_start_boot_ns=None,
        pidns_inum=Path(f"/proc/{init}/ns/pid").stat().st_ino,
        has_own_pidns=True,
        cgroup_path=None,
        cgroup_id=None,
        engine_address=str(tmp_path),
    )
    monkeypatch.setattr(stop, "find_program", lambda _: "/bin/true")
    monkeypatch.setattr(stop, "_ENDING_S", 0.2)
    with pytest.raises(UnavailableError, match=f"its init, process {init}, is still running"):
        stop.stop_container(container, 1)
    assert is_alive(init)


def test_a_user_cannot_name_a_process_that_is_not_theirs(host: PrivateHost) -> None:
    victim = host.process_of_root().pid
    others = host.container_of(uid=4322)
    for pid in (victim, others):
        host.user_knows(f"web{pid}", pid)
        result = host.zomtrace(
            "stop", "-c", f"web{pid}", "-d", "2", status=69, holds_contract=False
        )
        assert "Traceback" not in result.stderr
        assert is_alive(pid)
