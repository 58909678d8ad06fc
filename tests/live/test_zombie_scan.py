"""Zombies of every kind, each with its known culprit, read from /proc alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.dockerd import IMAGE, Dockerd
from tests.support.runc import Runc
from tests.support.waiting import wait_for
from tracer.containers.resolve import resolve_containers
from tracer.model.target import Container
from tracer.model.wait_status import WaitStatus
from tracer.model.zombie_scan import ScannedZombie, ZombieBlame
from tracer.procfs.zombies import scan_zombies

pytestmark = pytest.mark.root

_ZOMBIES = 7
_LEAK = f"i=0; while [ $i -lt {_ZOMBIES} ]; do sleep 1 & i=$((i+1)); done; exec sleep 1000"
"""A shell that forks, then becomes a program that waits for nobody: the shell itself would
wait for those that end before."""
_LEADER = """
import ctypes, os, threading
# Not by way of /proc/self: a leader that has ended has no files.
thread = threading.Thread(target=lambda: os.read(0, 1))
thread.start()
print(os.getpid(), flush=True)
ctypes.CDLL(None).syscall(60 if os.uname().machine == 'x86_64' else 93, 0)
"""
_TRACED = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    os.close(writing)
    os.read(reading, 1)
    os._exit(5)
tracer = os.fork()
if tracer == 0:
    assert libc.ptrace(0x4206, child, 0, 0) == 0, os.strerror(ctypes.get_errno())
    os.close(writing)
    os.close(reading)
    print(child, os.getpid(), flush=True)
    sys.stdin.read()
    os._exit(0)
os.close(writing)
os.close(reading)
os.waitpid(child, 0)
"""


@contextmanager
def running_script(script: str) -> Iterator[list[int]]:
    """Run Python and give the numbers of its first line; end it with its stdin."""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        yield [int(word) for word in process.stdout.readline().split()]
        process.communicate()


def zombies_of(
    container: Container, count: int, others: tuple[Container, ...] = ()
) -> list[ScannedZombie]:
    """Wait until a container has so many zombies, and describe them."""

    def look() -> list[ScannedZombie]:
        scan = scan_zombies((*others, container), settle_s=0)
        return [one for one in scan.zombies if one.container_id == container.id]

    return wait_for(lambda: found if len(found := look()) == count else None, f"{count} zombies")


def test_an_init_that_waits_for_no_one_is_to_blame(
    docker: Dockerd, find: Callable[[str], Container]
) -> None:
    docker.run("--name", "web", IMAGE, "sh", "-c", _LEAK)
    container = find("web")
    for zombie in zombies_of(container, _ZOMBIES):
        assert (zombie.comm, zombie.blame) == ("sleep", ZombieBlame.INIT)
        assert zombie.status == WaitStatus(0, None, core_dumped=False)
        assert zombie.container_name == "web"
        assert zombie.ns_pid > 1
        assert zombie.parent is not None
        assert zombie.parent.host_pid == container.init_host_pid
        assert zombie.parent.ns_pid == 1
        assert zombie.parent.comm == "sleep"
        assert zombie.parent.syscall in ("nanosleep", "clock_nanosleep")
        assert zombie.parent.is_waiting is False


def test_a_zombie_put_in_from_outside_is_injected(runc: Runc) -> None:
    started = runc.run(["sleep", "1000"])
    (container,) = resolve_containers([started.id])
    # Its child in the namespace is a zombie once it has exited; it does not wait.
    with subprocess.Popen(
        ["nsenter", f"--pid=/proc/{started.pid}/ns/pid", "--no-fork", "sh", "-c",
         "sleep 1 & exec sleep 1000"],
    ) as outside:  # fmt: skip
        (zombie,) = zombies_of(container, 1)
        assert zombie.blame is ZombieBlame.INJECTED
        assert zombie.parent is not None
        assert zombie.parent.host_pid == outside.pid
        assert zombie.parent.pidns_inum != zombie.pidns_inum == container.pidns_inum
        outside.kill()


def test_a_leader_whose_threads_live_on_is_no_ones_fault() -> None:
    with running_script(_LEADER) as (pid,):

        def zombie_with_a_reader() -> ScannedZombie | None:
            for zombie in scan_zombies(settle_s=0).zombies:
                threads = zombie.live_threads
                if zombie.host_pid == pid and threads and threads[0].syscall == "read":
                    return zombie
            return None

        zombie = wait_for(zombie_with_a_reader, "the leader is a zombie, its thread reads")
        assert zombie.blame is ZombieBlame.LEADER
        assert zombie.status is None
        (thread,) = zombie.live_threads
        assert thread.host_tid != pid


def test_a_zombie_its_tracer_holds_is_the_tracers_fault() -> None:
    with running_script(_TRACED) as (child, tracer):
        zombie = wait_for(
            lambda: next(
                (z for z in scan_zombies(settle_s=0).zombies if z.host_pid == child), None
            ),
            "the traced child is a zombie",
        )
        assert zombie.blame is ZombieBlame.TRACER
        assert zombie.tracer_host_pid == tracer
        assert zombie.tracer_comm
        assert zombie.parent is not None
        # The parent does wait: the zombie is not its to reap yet.
        assert zombie.parent.is_waiting is True
        assert zombie.parent.syscall == "wait4"


def test_a_tini_that_reaps_leaves_none(docker: Dockerd, find: Callable[[str], Container]) -> None:
    docker.run("--name", "web", "--init", IMAGE, "sh", "-c", "sleep 1 & exec sleep 1000")
    container = find("web")
    # The grandchild is sh's, which became a sleep: a zombie with a live parent.
    (zombie,) = zombies_of(container, 1)
    assert zombie.blame is ZombieBlame.PARENT
    assert zombie.parent is not None
    assert (zombie.parent.comm, zombie.parent.ns_pid) != ("docker-init", 1)


def test_containers_in_one_namespace_are_distinguished_by_cgroup(
    docker: Dockerd, find: Callable[[str], Container]
) -> None:
    docker.run("--name", "owner", IMAGE, "sleep", "1000")
    docker.run("--name", "guest", "--pid=container:owner", IMAGE, "sh", "-c", _LEAK)
    docker.run("--name", "host", "--pid=host", IMAGE, "sh", "-c", _LEAK)
    owner, guest, host = find("owner"), find("guest"), find("host")
    wait_for(
        lambda: len([z for z in scan_zombies((guest, host), settle_s=0).zombies
                     if z.container_id in (guest.id, host.id)]) == 2 * _ZOMBIES,
        "both have all their zombies",
    )  # fmt: skip
    found = scan_zombies((owner, guest, host), settle_s=0).zombies
    counts = {
        container.name: sum(zombie.container_id == container.id for zombie in found)
        for container in (owner, guest, host)
    }
    assert counts == {"owner": 0, "guest": _ZOMBIES, "host": _ZOMBIES}
    assert {z.blame for z in found if z.container_id == host.id} == {ZombieBlame.PARENT}


def test_a_zombie_of_hostile_name_is_reported_as_it_is_called(runc: Runc) -> None:
    name = b") Z 1 (\n\x1b[2J\xff"
    script = (
        "import ctypes, os\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        f"    ctypes.CDLL(None).prctl(15, {name!r}, 0, 0, 0)\n"
        "    os._exit(3)\n"
        "os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)\n"
        "print(pid, flush=True)\n"
        "input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        (zombie,) = [z for z in scan_zombies(settle_s=0).zombies if z.host_pid == pid]
        assert zombie.comm == ") Z 1 (\n\x1b[2J\\xff"
        assert zombie.status == WaitStatus(3, None, core_dumped=False)
        assert zombie.parent is not None
        assert zombie.parent.host_pid == process.pid
        process.communicate(b"\n")


def test_processes_that_come_and_go_are_never_reported_as_zombies(tmp_path: Path) -> None:
    script = "i=0; while [ -e go ]; do true | true | true; done"
    flag = tmp_path / "go"
    flag.touch()
    with subprocess.Popen(["sh", "-c", script], cwd=tmp_path) as storm:
        try:
            for _ in range(11):
                scan = scan_zombies(settle_s=0.05)
                assert [
                    z for z in scan.zombies if z.parent and z.parent.host_pid == storm.pid
                ] == []
        finally:
            flag.unlink()
