"""Who is to blame for a zombie or a teardown that hangs, and what /proc says of him."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests.support.containers_at_work import pick
from tests.support.require import require
from tests.support.waiting import wait_for
from tests.support.workloads import workload
from tests.support.zomtrace_process import Json, Result, Zomtrace

pytestmark = pytest.mark.live

FREEZER = Path("/sys/fs/cgroup/freezer")


@contextmanager
def blaming(mode: str, *options: str) -> Iterator[Zomtrace]:
    """``zomtrace run -- blame MODE``, ready."""
    args: list[str | Path] = ["run", "--min-zombie", "0.3", *options, "--", workload("blame"), mode]
    with Zomtrace(*args) as trace:
        trace.wait_attached().wait_stderr("ready\n")
        yield trace


def told(result: Result, word: str) -> list[int]:
    """The host pids of those the workload wrote down under a word."""
    ns_pids = [int(line.split()[1]) for line in result.stderr.splitlines() if line.startswith(word)]
    return [result.process(ns_pid=ns_pid)["host_pid"] for ns_pid in ns_pids]


def wait_reading(trace: Zomtrace, reading: str, within_s: float = 15.0) -> Json:
    """Wait for a reading of /proc; whom it speaks of is its host_pid."""
    return trace.wait_line(
        lambda line: line["kind"] == "observation" and line["values"].get("reading") == reading,
        f"a reading of {reading}",
        within_s=within_s,
    )


@contextmanager
def injected(init_host_pid: int, mode: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """A process put into a namespace from outside; its parent is ours to end."""
    with subprocess.Popen(
        [workload("inject"), f"/proc/{init_host_pid}/ns/pid", mode],
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        try:
            yield parent, parent.stdout
        finally:
            parent.terminate()
            parent.wait(60)


def init_of(trace: Zomtrace) -> int:
    """The host pid of what runs."""
    return int(trace.wait_event("exec", comm="blame")["host_pid"])


@pytest.mark.parametrize(
    ("mode", "is_waiting", "syscall", "words"),
    [
        ("hung", False, "read", "it was not waiting for a child: sleeping in read"),
        ("waiting", True, "wait4", "it was waiting for a child, but not for these"),
    ],
)
def test_parent_that_leaks_zombies(mode: str, is_waiting: bool, syscall: str, words: str) -> None:
    with blaming(mode) as trace:
        reading = wait_reading(trace, "parent")
        result = trace.stop_tracing()
    (parent,) = told(result, "blamed")
    assert reading["host_pid"] == parent
    assert pick(reading["values"], "comm", "state", "is_waiting", "sigchld", "syscall") == {
        "comm": "blamed", "state": "S", "is_waiting": is_waiting, "sigchld": "default",
        "syscall": syscall,
    }  # fmt: skip
    finding = result.finding("ZT201")
    assert set(finding["host_pids"]) == {parent, *told(result, "zombie")}
    assert words in finding["detail"]


def test_zombie_leader_and_the_threads_that_live_on() -> None:
    with blaming("leader") as trace:
        reading = wait_reading(trace, "threads")
        result = trace.stop_tracing()
    (leader,) = told(result, "blamed")
    assert reading["host_pid"] == leader
    threads = {
        thread["comm"]: (thread["state"], thread["syscall"])
        for thread in reading["values"]["threads"]
    }
    assert threads == {"worker": ("S", "read"), "sleeper": ("S", "clock_nanosleep")}
    finding = result.finding("ZT203")
    assert leader in finding["host_pids"]
    for thread in reading["values"]["threads"]:
        assert f"{thread['comm']} (tid {thread['host_tid']}" in finding["detail"]
    (zombie,) = result.report["zombies"]
    assert pick(zombie, "host_pid", "live_threads") == {"host_pid": leader, "live_threads": 2}


def test_no_reading_where_no_one_is_to_blame() -> None:
    with blaming("none") as trace:
        result = trace.stop_tracing()
    readings = [
        line["values"] for line in result.of_kind("observation") if "reading" in line["values"]
    ]
    # Which program each runs is read in time, for a stop that may be over in a moment.
    assert {values["reading"] for values in readings} <= {"member"}
    assert not any(values["threads"] for values in readings)
    assert result.codes == []


def test_teardown_waits_for_a_parent_outside() -> None:
    with blaming("none") as trace:
        init = init_of(trace)
        with injected(init, "pause") as (parent, output):
            put = int(output.readline().split()[1])
            trace.interrupt()
            reading = wait_reading(trace, "holder")
            parent.terminate()
            result = trace.finish()
    assert reading["host_pid"] == put
    assert reading["values"]["state"] == "Z"
    assert pick(reading["values"]["parent"], "host_pid", "comm", "is_waiting") == {
        "host_pid": parent.pid, "comm": "inject", "is_waiting": False,
    }  # fmt: skip
    assert pick(result.process(host_pid=put), "term_signal", "cause", "reap_kind") == {
        "term_signal": "SIGKILL", "cause": "pidns_teardown", "reap_kind": "teardown",
    }  # fmt: skip
    assert result.stop["teardown_ns"] > 1e9
    finding = result.finding("ZT107")
    assert put in finding["host_pids"]
    assert "injected" in finding["detail"]
    assert f"inject (host pid {parent.pid})" in finding["detail"]


def test_teardown_that_ends_at_once_is_not_called_blocked() -> None:
    with blaming("none") as trace:
        init = init_of(trace)
        with injected(init, "pause") as (parent, output):
            put = int(output.readline().split()[1])
            trace.interrupt()
            # It is told to wait as soon as its child is dead.
            trace.wait_event("exit", host_pid=put)
            parent.terminate()
            result = trace.finish()
    assert result.stop["teardown_ns"] < 1e9
    assert "ZT107" not in result.codes


def test_teardown_waits_for_a_frozen_task() -> None:
    require("freezer", (FREEZER / "cgroup.procs").exists(), "no cgroup v1 freezer here")
    cgroup = FREEZER / f"zt-frozen-{os.getpid()}"
    with blaming("hung") as trace:
        victim = trace.wait_event("fork", parent_host_pid=init_of(trace))["host_pid"]
        cgroup.mkdir()
        try:
            (cgroup / "cgroup.procs").write_text(str(victim))
            (cgroup / "freezer.state").write_text("FROZEN")
            wait_for(lambda: (cgroup / "freezer.state").read_text() == "FROZEN\n", "frozen")
            trace.interrupt()
            wait_reading(trace, "holder")
            (cgroup / "freezer.state").write_text("THAWED")
            result = trace.finish()
        finally:
            (cgroup / "freezer.state").write_text("THAWED")
            wait_for(lambda: _removes(cgroup), "the cgroup is empty")
    frozen = {
        line["host_pid"]
        for line in result.of_kind("observation")
        if line["values"].get("reading") == "holder" and line["values"]["is_frozen"]
    }
    assert frozen == {victim}
    finding = result.finding("ZT107")
    assert victim in finding["host_pids"]
    assert "frozen cgroup" in finding["detail"]
    assert pick(result.process(host_pid=victim), "term_signal", "cause") == {
        "term_signal": "SIGKILL", "cause": "pidns_teardown",
    }  # fmt: skip


def test_execed_in_zombie_is_its_outside_parents() -> None:
    with blaming("none") as trace:
        with injected(init_of(trace), "exit") as (parent, output):
            put = int(output.readline().split()[1])
            wait_reading(trace, "parent")
            parent.terminate()
            parent.wait(60)
            trace.wait_event("reap", host_pid=put)
        result = trace.stop_tracing()
    (zombie,) = result.report["zombies"]
    assert pick(zombie, "host_pid", "parent_host_pid", "injected", "reaped", "reap_kind") == {
        "host_pid": put, "parent_host_pid": parent.pid, "injected": True, "reaped": True,
        "reap_kind": "parent",
    }  # fmt: skip
    finding = result.finding("ZT205")
    assert put in finding["host_pids"]
    assert "inject" in finding["detail"]


def test_orphan_of_what_was_execed_in_is_pid_1s() -> None:
    with blaming("none") as trace:
        init = init_of(trace)
        with injected(init, "orphan") as (_, output):
            lines = dict(output.readline().split() for _ in range(2))
            orphan = trace.wait_event("fork", ns_pid=int(lines["orphan"]))["host_pid"]
            wait_for(lambda: _parent_of(orphan) == init, "PID 1 adopts it")
            os.kill(orphan, 9)
            wait_reading(trace, "parent")
        result = trace.stop_tracing()
    (zombie,) = result.report["zombies"]
    assert pick(zombie, "host_pid", "parent_host_pid", "reap_kind") == {
        "host_pid": orphan, "parent_host_pid": init, "reap_kind": "teardown",
    }  # fmt: skip
    assert orphan in result.finding("ZT205")["host_pids"]


def _parent_of(host_pid: int) -> int:
    return int(Path(f"/proc/{host_pid}/stat").read_text().rpartition(")")[2].split()[1])


def _removes(directory: Path) -> bool:
    try:
        directory.rmdir()
    except OSError:
        return False
    return True
