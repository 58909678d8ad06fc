"""Threads and processes that end at the same instant, on more than one processor."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support.require import require
from tests.support.zomtrace_process import raw_status, run_zomtrace

pytestmark = pytest.mark.subject("races")

_PROCESSES = 31
_STORM = f"""
import _thread, ctypes, os, signal, sys, time
exit_thread, exit_group = 60, 231
libc = ctypes.CDLL(None)
truth = open(sys.argv[1], "w")
running = set()
def collect(flags):
    while running:
        pid, status = os.waitpid(-1, flags)
        if not pid:
            return
        running.discard(pid)
        truth.write(f"{{pid}} {{status}}\\n")
for i in range({_PROCESSES}):
    pid = os.fork()
    if not pid:
        gate = [False]
        def end(code):
            while not gate[0]:
                pass
            # Some end alone, some end the whole group: all at once.
            libc.syscall(exit_group if code % 3 == 0 else exit_thread, code)
        for code in range(1, 4):
            _thread.start_new_thread(end, (code,))
        gate[0] = True
        if i % 2:
            libc.syscall(exit_thread, 9)
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    running.add(pid)
    collect(os.WNOHANG)
collect(0)
"""


def test_threads_that_end_together_are_one_exit_with_waitpids_status(tmp_path: Path) -> None:
    cpus = len(os.sched_getaffinity(0))
    require("processors", cpus > 1, "this machine has one processor")
    python = sys.executable
    truth = tmp_path / "truth"
    result = run_zomtrace("run", "--", python, "-I", "-S", "-c", _STORM, str(truth), within_s=100)
    lines = [line.split() for line in truth.read_text().splitlines()]
    told = {int(pid): int(status) for pid, status in lines}
    assert len(told) == _PROCESSES
    assert result.report["lost"] == {}
    exits = result.of_kind("exit")
    assert len(exits) == _PROCESSES + 1
    assert {one["ns_pid"]: raw_status(one) for one in exits if one["ns_pid"] != 1} == told
    reaps = result.reaps()
    assert sorted(one["ns_pid"] for one in reaps) == sorted([1, *told])
    assert {one["reap_kind"] for one in reaps if one["ns_pid"] != 1} == {"parent"}
