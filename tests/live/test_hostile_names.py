"""Whose container a name means, where users write what they like."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.containers import DB_ID, WEB_ID
from tests.support.strangers import MALLORY, PrivateHost
from tests.support.zomtrace_process import Result

pytestmark = pytest.mark.root
THEIRS = f"user {MALLORY}'s"


@pytest.fixture
def host() -> Iterator[PrivateHost]:
    with PrivateHost() as host:
        host.add_user()
        yield host


def traced(host: PrivateHost, name: str) -> tuple[dict[str, Any], Result]:
    """The one container that a name finds, as the report has it."""
    result = host.zomtrace("-c", name, "-d", "0.2")
    (container,) = result.report["containers"]
    return dict(container), result


def test_a_users_exact_id_does_not_win_over_roots_name(host: PrivateHost) -> None:
    roots, theirs = host.container_of_root(), host.container_of()
    host.root_knows(WEB_ID, roots, {"nerdctl/name": "web"})
    host.user_knows("web", theirs)
    container, result = traced(host, "web")
    assert (container["init_host_pid"], container["owner"]) == (roots, None)
    assert f"also matching, but not chosen: web (runc, {THEIRS})" in result.stderr


def test_a_users_exact_id_does_not_win_over_a_prefix_of_roots(host: PrivateHost) -> None:
    roots, theirs = host.container_of_root(), host.container_of()
    host.root_knows("web-1", roots)
    host.user_knows("web", theirs)
    container, _ = traced(host, "web")
    assert container["init_host_pid"] == roots


def test_a_user_cannot_make_roots_name_or_id_ambiguous(host: PrivateHost) -> None:
    roots, theirs = host.container_of_root(), host.container_of()
    host.root_knows(WEB_ID, roots, {"nerdctl/name": "web"})
    host.user_knows(WEB_ID, theirs)
    host.user_knows(DB_ID, theirs, {"nerdctl/name": "web"})
    for name in ("web", WEB_ID, WEB_ID[:5]):
        container, result = traced(host, name)
        assert container["init_host_pid"] == roots
        assert THEIRS in result.stderr


def test_a_user_cannot_speak_of_a_pod_of_roots(host: PrivateHost) -> None:
    pod = {
        "io.kubernetes.cri.container-type": "container",
        "io.kubernetes.cri.container-name": "web",
        "io.kubernetes.cri.sandbox-namespace": "shop",
        "io.kubernetes.cri.sandbox-name": "front",
    }
    roots, theirs = host.container_of_root(), host.container_of()
    host.root_knows(WEB_ID, roots, pod)
    host.user_knows(DB_ID, theirs, pod)
    container, result = traced(host, "web")
    assert container["init_host_pid"] == roots
    assert f"pod shop/front, {THEIRS}" in result.stderr


def test_a_users_own_container_is_found_and_named_with_its_owner(host: PrivateHost) -> None:
    theirs = host.container_of()
    host.user_knows("web", theirs)
    container, result = traced(host, "web")
    assert (container["init_host_pid"], container["owner"]) == (theirs, f"user {MALLORY}")
    assert THEIRS in json.dumps(result.lines[0]["target"])
    assert {one["container_name"] for one in result.of_kind("process")} == {f"web ({THEIRS})"}
    assert THEIRS in result.stderr


def test_the_user_themself_needs_no_such_words(host: PrivateHost) -> None:
    theirs = host.container_of()
    host.user_knows("web", theirs)
    result = host.find("web", uid=MALLORY)
    assert "user" not in result.stderr


def test_two_users_names_are_ambiguous_and_both_are_named(host: PrivateHost) -> None:
    host.add_user(4322)
    host.user_knows("web", host.container_of())
    host.user_knows("web", host.container_of(uid=4322), uid=4322)
    result = host.find("web", status=69)
    assert f"web (runc, {THEIRS})" in result.stderr
    assert "web (runc, user 4322's)" in result.stderr


def test_what_a_user_says_of_another_users_process_is_not_believed(host: PrivateHost) -> None:
    host.user_knows("web", host.container_of(uid=4322))
    host.user_knows("web2", host.process_of_root().pid)
    for name in ("web", "web2"):
        assert "exists but is stopped" in host.find(name, status=69).stderr


def test_a_restart_is_not_followed_to_a_users_namesake(host: PrivateHost) -> None:
    roots = host.container_of_root()
    host.root_knows("web", roots)
    with host.start_zomtrace("-c", "web", "--follow") as trace:
        trace.wait_attached()
        host.user_knows("web", host.container_of())
        host.as_root("kill", "-9", str(roots))
        host.as_root("rm", "-r", "/run/runc/web")
        trace.wait_stderr("waiting for it to start again")
        again = host.container_of_root()
        host.root_knows("web", again)
        trace.wait_stderr("web is back")
        result = trace.stop_tracing()
    assert f"(host pid {again})" in result.stderr
    assert result.stderr.count("is back") == 1


def test_a_users_namesake_keeps_no_other_users_container_from_being_followed(
    host: PrivateHost,
) -> None:
    host.add_user(4322)
    first = host.container_of(uid=4322)
    host.user_knows("web", first, uid=4322)
    with host.start_zomtrace("-c", "web", "--follow") as trace:
        trace.wait_attached()
        host.user_knows("web", host.container_of())
        host.as_root("kill", "-9", str(first))
        host.as_root("rm", "-r", "/run/user/4322/runc/web")
        trace.wait_stderr("waiting for it to start again")
        again = host.container_of(uid=4322)
        host.user_knows("web", again, uid=4322)
        trace.wait_stderr("web (user 4322's) is back")
        result = trace.stop_tracing()
    assert f"(host pid {again})" in result.stderr
    assert result.stderr.count("is back") == 1


def test_the_callers_environment_does_not_choose_whom_root_believes(host: PrivateHost) -> None:
    roots, theirs = host.container_of_root(), host.container_of()
    host.root_knows(WEB_ID, roots, {"nerdctl/name": "web"})
    host.as_user("mkdir elsewhere && mkdir -p home/.local/share/containers/storage")
    host.write_as_user(
        Path(f"/run/user/{MALLORY}/home/.local/share/containers/storage")
        / "overlay-containers/containers.json",
        [{"id": DB_ID, "names": ["db"]}],
    )
    host.user_knows("web", theirs)
    host.as_user("mv runc elsewhere")
    env = {
        "PATH": "/usr/bin:/bin",
        "XDG_RUNTIME_DIR": f"/run/user/{MALLORY}/elsewhere",
        "HOME": f"/run/user/{MALLORY}/home",
    }
    said = host.find("web", env=env).stderr
    assert f"web is web (containerd {WEB_ID[:12]})" in said
    assert f"web (runc, {THEIRS})" in said
    said = host.find("db", status=69, env=env).stderr
    assert f"db (podman {DB_ID[:12]}, {THEIRS}) exists but is not running" in said
