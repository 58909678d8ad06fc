"""A process with more threads than are worth a look: reading them takes no time to speak of."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.waiting import wait_for
from tracer.procfs.process import open_process, read_status
from tracer.procfs.zombies import read_live_threads, read_zombie_parent, scan_zombies

THREADS = 200
_PROGRAM = f"""
import ctypes, os, sys, threading, time
threading.stack_size(65536)
for _ in range({THREADS}):
    threading.Thread(target=time.sleep, args=(1000,)).start()
print("ready", flush=True)
if sys.argv[1] == "leaves":
    ctypes.CDLL(None).syscall({{"x86_64": 60}}.get(os.uname().machine, 93), 0)
time.sleep(1000)
"""


@pytest.fixture
def many(request: pytest.FixtureRequest) -> Iterator[int]:
    """The pid of such a process."""
    argv = [sys.executable, "-c", _PROGRAM, request.param]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid
        process.kill()


def _is_leader_gone(pid: int) -> bool:
    status = read_status(pid)
    return status is not None and status.is_zombie


@pytest.mark.parametrize("many", ["leaves"], indirect=True)
def test_a_few_of_a_zombie_leaders_threads_are_read_and_all_are_counted(many: int) -> None:
    wait_for(lambda: _is_leader_gone(many), "its leader exits")
    directory, status = open_process(many), read_status(many)
    assert directory is not None
    assert status is not None
    with directory:
        assert len(read_live_threads(directory, status)) == 32
    (zombie,) = [one for one in scan_zombies(settle_s=0).zombies if one.host_pid == many]
    assert (zombie.threads, zombie.status) == (THREADS + 1, None)


@pytest.mark.parametrize("many", ["stays"], indirect=True)
def test_whether_one_of_so_many_waits_for_a_child_is_not_known(many: int) -> None:
    parent = read_zombie_parent(many)
    assert parent is not None
    assert (parent.threads, parent.is_waiting) == (THREADS + 1, None)
