"""Processes of which /proc does not answer: whoever reads waits, but for the tracer.

What a hostile container can do: lock its address space, or stay in the midst of an
execve(2), by a file system of its own that never answers.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.require import require
from tests.support.waiting import PATIENCE, wait_for
from tests.support.workloads import workload
from tests.support.zomtrace_process import Zomtrace, run_zomtrace
from tracer.procfs.process import open_process, read_cmdline, read_status
from tracer.procfs.zombies import scan_zombies

pytestmark = pytest.mark.root

_ENDS_S = 30.0 * PATIENCE
"""One second is promised, on a machine that does nothing else; who waits for the process does
so for ever."""
_BLOCKED = {"cmdline": "cmdline", "syscall": "stat"}
"""Which of its files waits, by what the workload does."""


class Hung(NamedTuple):
    """A process that /proc does not answer for.

    Attributes:
        mode: How, as tests/workloads/hung.c has it.
        pid: Its own.
        zombie: Its child's, dead and not waited for.
    """

    mode: str
    pid: int
    zombie: int


@pytest.fixture(params=_BLOCKED)
def hung(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hung]:
    """See :class:`Hung`."""
    require("fuse", os.access("/dev/fuse", os.R_OK | os.W_OK), "there is no /dev/fuse for us")
    with subprocess.Popen(
        [workload("hung"), request.param, tmp_path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            word, pid, zombie = process.stdout.readline().split()
            assert word == "hung"
            yield Hung(request.param, int(pid), int(zombie))
        finally:
            process.stdin.close()


def test_the_workload_holds_its_readers_up(hung: Hung) -> None:
    path = Path(f"/proc/{hung.pid}/{_BLOCKED[hung.mode]}")

    def read() -> None:
        # Its end is what is read in the end.
        with suppress(ProcessLookupError):
            path.read_bytes()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(0.5)
    assert reader.is_alive()


def test_what_does_not_come_is_not_reported(hung: Hung) -> None:
    if hung.mode == "cmdline":
        assert read_cmdline(hung.pid) is None
        status = read_status(hung.pid)
        assert status is not None
        assert (status.comm, status.state) == ("hung", "D")
    else:
        assert read_status(hung.pid) is None
        directory = open_process(hung.pid)
        assert directory is not None
        with directory:
            assert directory.pidns_inum() is None
            assert directory.read("cgroup") is not None


def test_a_scan_finds_the_zombie_of_such_a_parent(hung: Hung) -> None:
    (zombie,) = [one for one in scan_zombies().zombies if one.host_pid == hung.zombie]
    assert zombie.comm == "hung"
    if hung.mode == "cmdline":
        assert zombie.parent is not None
        assert (zombie.parent.host_pid, zombie.parent.cmdline) == (hung.pid, ())
    else:
        assert zombie.parent is None


def test_zombies_ends_by_itself(hung: Hung) -> None:
    result = run_zomtrace("zombies", within_s=_ENDS_S, json_lines=False)
    assert f"host pid {hung.zombie};" in result.stdout.decode()


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM])
def test_a_host_wide_trace_hears_its_signal(hung: Hung, signo: signal.Signals) -> None:
    with Zomtrace("--all", "--min-zombie", "0.2") as trace:
        trace.wait_attached()
        # Its parent is looked at by now, or was given up.
        trace.wait_event("process", host_pid=hung.zombie)
        result = trace.interrupt(signo).finish(status=0, within_s=_ENDS_S)
    assert hung.zombie in [zombie["host_pid"] for zombie in result.report["zombies"]]


def test_a_host_wide_trace_ends_when_its_time_is_up(hung: Hung) -> None:
    result = run_zomtrace("--all", "-d", "1.5", within_s=1.5 + _ENDS_S)
    (leak,) = [
        finding
        for finding in result.report["findings"]
        if finding["code"] == "ZT201" and hung.pid in finding["host_pids"]
    ]
    assert "hung" in leak["title"]


def test_a_namespace_is_found_beside_it(hung: Hung) -> None:
    with subprocess.Popen(["unshare", "-p", "-f", "--kill-child", "sleep", "1000"]) as outside:
        children = Path(f"/proc/{outside.pid}/task/{outside.pid}/children")
        try:
            init = wait_for(lambda: children.read_text().strip(), "its init is there")
            inum = Path(f"/proc/{init}/ns/pid").readlink()
            result = run_zomtrace("--pidns", str(inum), "-d", "0.1", within_s=_ENDS_S)
        finally:
            outside.kill()
    assert result.report["lost"] == {}
