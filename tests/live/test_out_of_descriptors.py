"""A trace that can open no more files ends with what it has: 69, one line, the report."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import wait_for
from tests.support.zomtrace_process import Zomtrace

pytestmark = pytest.mark.root

CHILDREN = 7
_PROGRAM = f"""
import os, sys, time
sys.stdin.readline()
for code in range({CHILDREN}):
    if os.fork() == 0:
        os._exit(code)
time.sleep(1000)
"""


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[bytes]]:
    """PID 1 of a namespace, which leaves zombies once it is written to."""
    with subprocess.Popen(
        ["unshare", "-p", "-f", "--kill-child", "python3", "-c", _PROGRAM], stdin=subprocess.PIPE
    ) as outside:
        yield outside
        outside.kill()


def inum(outside: subprocess.Popen[bytes]) -> str:
    children = Path(f"/proc/{outside.pid}/task/{outside.pid}/children")
    init = wait_for(lambda: children.read_text().strip(), "its init is there")
    return str(Path(f"/proc/{init}/ns/pid").readlink())


def allow_no_more(pid: int) -> None:
    """Lower the limit of open files to what is open already."""
    highest = max(int(name) for name in os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1, highest + 1))


@pytest.mark.parametrize("record", [False, True])
def test_what_was_seen_until_then_is_reported(
    parent: subprocess.Popen[bytes], tmp_path: Path, record: bool
) -> None:
    report_path = tmp_path / "report.json"
    capture = tmp_path / "z.arrows"
    written = ("-w", capture) if record else ()
    with Zomtrace(
        "--pidns", inum(parent), "--report", report_path, *written, holds_contract=False
    ) as trace:
        # It reads its own rights behind the first line; then the loop begins.
        trace.wait_attached().wait_event("process")
        allow_no_more(trace.process.pid)
        assert parent.stdin is not None
        parent.stdin.write(b"go\n")
        parent.stdin.flush()
        result = trace.finish(status=69)
    first, hint = result.stderr.splitlines()[-2:]
    assert "Too many open files" in first
    assert "ulimit -n" in hint
    assert "Traceback" not in result.stderr
    assert sorted(one["exit_code"] for one in result.processes(end="exit")) == list(range(CHILDREN))
    assert json.loads(report_path.read_text())["processes"] == result.report["processes"]
    if record:
        assert capture.stat().st_size > 0


def test_with_descriptors_to_spare_the_same_trace_goes_on(
    parent: subprocess.Popen[bytes],
) -> None:
    with Zomtrace("--pidns", inum(parent)) as trace:
        trace.wait_attached()
        assert parent.stdin is not None
        parent.stdin.write(b"go\n")
        parent.stdin.flush()
        trace.wait_event("observation", source="proc")
        result = trace.stop_tracing(status=0)
    assert len(result.processes(end="exit")) == CHILDREN
