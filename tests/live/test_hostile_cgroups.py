"""Cgroups that another user shares with root, or names after a container of root's."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.containers import WEB_ID
from tests.support.require import require
from tests.support.strangers import MALLORY, PrivateHost
from tests.support.waiting import PATIENCE, wait_for

pytestmark = pytest.mark.root
_TOPS = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
_DEPTH = 1900
_SOON_S = 6.0 * PATIENCE
_LEAVES_A_ZOMBIE = """
import os, sys
sys.stdin.readline()
child = os.fork()
if child == 0:
    os._exit(0)
print(child, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def host() -> Iterator[PrivateHost]:
    with PrivateHost() as host:
        host.add_user()
        yield host


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A cgroup of the second version, of this test's own."""
    top = next((top for top in _TOPS if (top / "cgroup.controllers").exists()), None)
    require("cgroup v2", top is not None, "no cgroup2 is mounted here")
    assert top is not None
    path = top / f"zt-test-{uuid.uuid4().hex[:12]}"
    path.mkdir()
    yield path
    for directory in (*path.iterdir(), path):
        if directory.is_dir():
            for pid in (directory / "cgroup.procs").read_text().split():
                (top / "cgroup.procs").write_text(pid)
            directory.rmdir()


def test_a_users_container_does_not_own_what_only_shares_its_cgroup(
    host: PrivateHost, cgroup: Path
) -> None:
    theirs = host.container_of()
    host.user_knows("web", theirs)
    (cgroup / "cgroup.procs").write_text(str(theirs))
    argv = [sys.executable, "-c", _LEAVES_A_ZOMBIE]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as roots:
        (cgroup / "cgroup.procs").write_text(str(roots.pid))
        assert roots.stdin is not None
        assert roots.stdout is not None
        roots.stdin.write("go\n")
        roots.stdin.flush()
        zombie = int(roots.stdout.readline())
        wait_for(lambda: "\tZ" in Path(f"/proc/{zombie}/status").read_text(), "it is a zombie")
        result = host.find("web")
        roots.kill()
    assert zombie not in [each["host_pid"] for each in result.lines[0]["zombies"]]


def test_a_cgroup_that_a_user_named_after_roots_container_is_no_proof(
    host: PrivateHost, cgroup: Path
) -> None:
    # What containerd left of a container whose pid has been used again since.
    another = host.container_of()
    task = host.path(f"/run/containerd/io.containerd.runtime.v2.task/k8s.io/{WEB_ID}")
    task.mkdir(parents=True)
    (task / "config.json").write_text('{"annotations": {"nerdctl/name": "web"}}')
    (task / "init.pid").write_text(str(another))
    scope = cgroup / f"nerdctl-{WEB_ID}.scope"
    scope.mkdir()
    (scope / "cgroup.procs").write_text(str(another))
    host.find("web")
    subprocess.run(["chown", str(MALLORY), cgroup, scope], check=True)
    assert "a different one" in host.find("web", status=69).stderr


@pytest.fixture
def deep() -> Iterator[Path]:
    """A cgroup in which others are, each in the one before; pids are counted in it."""
    v1 = Path("/sys/fs/cgroup/pids")
    top = v1 if v1.is_dir() else Path("/sys/fs/cgroup")
    require("the pids controller", (top / "cgroup.procs").exists(), "it is not mounted here")
    path = top / f"zt-test-{uuid.uuid4().hex[:12]}"
    path.mkdir()
    fd = os.open(path, os.O_RDONLY)
    for _ in range(_DEPTH):
        os.mkdir("d", dir_fd=fd)
        fd = _moved(fd, "d")
    try:
        yield Path(f"/proc/self/fd/{fd}")
    finally:
        for _ in range(_DEPTH):
            fd = _moved(fd, "..")
            wait_for(lambda fd=fd: _is_removed(fd), "it is empty")  # type: ignore[misc]
        os.close(fd)
        path.rmdir()


def _moved(fd: int, name: str) -> int:
    try:
        return os.open(name, os.O_RDONLY, dir_fd=fd)
    finally:
        os.close(fd)


def _is_removed(parent: int) -> bool:
    try:
        os.rmdir("d", dir_fd=parent)
    except OSError:
        return False
    return True


@pytest.mark.parametrize("source", ["bpf", "netlink"])
def test_cgroups_two_thousand_levels_deep_hold_no_trace_up(
    host: PrivateHost, deep: Path, source: str
) -> None:
    """A read of such a path takes a quarter of a second, for each of 40 processes."""
    init = host.container_of()
    (deep / "cgroup.procs").write_text(str(init))
    inum = Path(f"/proc/{init}/ns/pid").stat().st_ino
    arguments = ("--pidns", str(inum), *(("--source", source) if source == "netlink" else ()))
    host.zomtrace(*arguments, "-d", "0.1")
    others = [subprocess.Popen(["sleep", "600"]) for _ in range(40)]
    try:
        for other in others:
            (deep / "cgroup.procs").write_text(str(other.pid))
        before_s = time.monotonic()
        result = host.zomtrace(*arguments, "-d", "1")
        took_s = time.monotonic() - before_s
    finally:
        for other in others:
            other.kill()
            other.wait()
        os.kill(init, 9)
    assert result.status == 0
    assert took_s < _SOON_S
