"""What scripts/bench measures, small, and only its counts: time is no business of a test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from benchmark.headers import make_kernel_tree
from benchmark.once import count_with_a_tiny_ring
from benchmark.peers import PEERS, Peer, Setting, Where
from benchmark.place import Place, cgroup_root
from benchmark.tool import Tool
from benchmark.workload import Driver, compile_programs

from tests.support.require import require, require_program, require_root
from tests.support.waiting import wait_for

_PEERS = {peer.name: peer for peer in PEERS}
_SCRIPTS = Path(__file__).parents[2] / "scripts"


class Stage:
    """A workload on the host, one in a container, and a container at rest."""

    def __init__(self, place: Place) -> None:
        self.place = place
        programs = compile_programs(place.directory)
        self.tree = make_kernel_tree(place.directory)
        self.drivers = {
            Where.HOST: Driver(programs, place),
            Where.CONTAINER: Driver(programs, place, own_pidns=True),
        }
        self.other = Driver(programs, place, own_pidns=True)

    def close(self) -> None:
        for driver in (*self.drivers.values(), self.other):
            driver.close()

    def setting(self, where: Where) -> Setting:
        driver = self.drivers[where]
        return Setting(
            pid=driver.pid,
            pidns_inum=driver.pidns_inum,
            other_pidns_inum=self.other.pidns_inum,
            other_cgroup=self.other.cgroup.path,
            output=self.place.file("output"),
            kernel_tree=self.tree,
        )


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    require_root()
    require_program("gcc", "gcc")
    require("bpf", Path("/sys/kernel/btf/vmlinux").exists(), "the kernel has no BTF")
    with Place() as place:
        one = Stage(place)
        yield one
        one.close()


def all_told(stage: Stage, peer: Peer) -> None:
    """A small storm of each kind; every event has to be told, none may be lost."""
    driver = stage.drivers[peer.where]
    with Tool(peer, stage.setting(peer.where), stage.place) as tool:
        tool.await_ready(driver)
        ended = driver.do("fork", 2, 499).processes + driver.do("exec", 2, 101).processes
        sent = driver.do("signal", 2, 499).signals
        tool.await_quiet()
        tool.end()
        assert peer.seen is not None
        seen = peer.seen(tool.stdout, tool.seen_beside)
    # Each worker is one of a storm itself.
    assert (ended, sent) == (2 * (499 + 1 + 101 + 1), 4 * 499)
    assert seen.lost == {}
    assert seen.exits in {ended, None}
    assert seen.signals in {sent, None}
    if peer.name != "zt-all":
        assert seen.exits is not None
        assert seen.signals is not None


@pytest.mark.parametrize("name", ["zt-container", "zt-all", "zt-json", "zt-record"])
def test_nothing_of_a_storm_is_lost(stage: Stage, name: str) -> None:
    all_told(stage, _PEERS[name])


def test_another_containers_trace_shows_nothing_of_a_storm(stage: Stage) -> None:
    other = _PEERS["zt-other"]
    driver = stage.drivers[Where.HOST]
    setting = stage.setting(Where.HOST)
    told = replace(other, command=lambda s: [*other.command(s), "--json"])
    with Tool(told, setting, stage.place) as tool:
        tool.await_ready(driver)
        driver.do("fork", 2, 499)
        tool.await_quiet()
        tool.end()
        assert b"zb-fork" not in tool.stdout.read_bytes()


def test_what_a_tiny_ring_loses_is_counted_exactly(stage: Stage) -> None:
    counts = count_with_a_tiny_ring(
        stage.drivers[Where.CONTAINER], stage.setting(Where.CONTAINER), stage.place, 2, 2003
    )
    assert set(counts) == {"fork", "exit", "signal"}
    for kind, count in counts.items():
        assert count["told"] + count["lost"] == count["happened"] == 2 * 2003 + 2, kind
    assert counts["exit"]["lost"] > 0


def test_thousands_of_zombies_come_and_go(stage: Stage) -> None:
    record = _PEERS["zt-record"]
    stage.place.make_room_for(3001)
    driver = stage.drivers[Where.CONTAINER]
    with Tool(record, stage.setting(Where.CONTAINER), stage.place) as tool:
        tool.await_ready(driver)
        assert driver.do("zombies", 3001).processes == 3001
        assert driver.do("reap").processes == 3001
        tool.await_quiet()
        tool.end()
        assert record.seen is not None
        assert record.seen(tool.stdout, tool.seen_beside).lost == {}


_KILLED = """
import sys, time
from benchmark.place import Place
from benchmark.workload import Driver, compile_programs
with Place() as place:
    driver = Driver(compile_programs(place.directory), place, own_pidns=True)
    print(place.directory, driver.cgroup.path, flush=True)
    driver.do("crowd", 97)
    place.make_room_for(10_000_000 if {raise_pid_max} else 0)
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_nothing(signo: int) -> None:
    require_root()
    require_program("gcc", "gcc")
    pid_max = Path("/proc/sys/kernel/pid_max")
    before = pid_max.read_text()
    room = int(before) < 100_000
    environment = {**os.environ, "PYTHONPATH": str(_SCRIPTS)}
    code = _KILLED.replace("10_000_000", "100_000").replace("{raise_pid_max}", str(room))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, env=environment,
    ) as run:  # fmt: skip
        assert run.stdout is not None
        directory, cgroup = map(Path, run.stdout.readline().split())
        assert run.stdout.readline() == "ready\n"
        assert (pid_max.read_text() != before) is room
        assert len((cgroup / "cgroup.procs").read_text().split()) == 99
        run.send_signal(signo)
        run.wait(60)
    wait_for(lambda: not cgroup.parent.exists(), "the cgroups are gone")
    wait_for(lambda: not directory.exists(), "the directory is gone")
    wait_for(lambda: pid_max.read_text() == before, "pid_max is as it was")
    assert cgroup_root() in cgroup.parents
