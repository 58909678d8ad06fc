"""A container's init that looks dead and is not: its main thread has exited, another runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.strangers import PrivateHost
from tests.support.waiting import wait_for

pytestmark = pytest.mark.root
_LEAVES_A_THREAD = """
import ctypes, os, threading, time
def run_on():
    time.sleep(0.2)
    print("ready", flush=True)
    time.sleep(1000)
threading.Thread(target=run_on).start()
ctypes.CDLL(None).syscall({"x86_64": 60}.get(os.uname().machine, 93), 0)
"""


@pytest.fixture
def host() -> Iterator[PrivateHost]:
    with PrivateHost() as host:
        host.add_user()
        yield host


@pytest.fixture
def init(host: PrivateHost) -> int:
    """Its host pid."""
    unshare = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")
    process = host.start_as_user(*unshare, sys.executable, "-c", _LEAVES_A_THREAD)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    (pid,) = wait_for(lambda: children.read_text().split(), "unshare forks")
    stat = Path(f"/proc/{pid}/stat")
    wait_for(
        lambda: stat.read_text().rpartition(")")[2].split()[0] == "Z", "its main thread has exited"
    )
    return int(pid)


def test_it_is_found(host: PrivateHost, init: int) -> None:
    host.user_knows("web", init)
    result = host.zomtrace("-c", "web", "-d", "0.2")
    (container,) = result.report["containers"]
    assert container["init_host_pid"] == init


def test_its_namespace_is_not_said_to_be_torn_down(host: PrivateHost, init: int) -> None:
    inum = Path(f"/proc/{init}/ns/pid").stat().st_ino
    result = host.zomtrace("--pidns", str(inum), "-d", "0.2")
    (container,) = result.report["containers"]
    assert container["init_host_pid"] == init


def test_it_is_stopped(host: PrivateHost, init: int) -> None:
    host.user_knows("web", init)
    host.zomtrace("stop", "-c", "web", "--grace", "0.3", "-d", "10")
    assert not Path(f"/proc/{init}").exists()
