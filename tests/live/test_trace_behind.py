"""A tracer that was stopped or starved: it says so, and what it read late proves nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.patched import patched_copy
from tests.support.pidns_script import PidnsScript
from tests.support.require import require, require_root
from tests.support.waiting import wait_for
from tests.support.zomtrace_process import Zomtrace

pytestmark = pytest.mark.alone

_SURVIVED_AFTER_S = 3
DEAF = """
signal.signal(signal.SIGTERM, lambda *_: say("told"))
say("ready")
while True: signal.pause()
"""
FORKS = """
say("ready")
while hear():
    for _ in range(3001):
        pid = os.fork()
        if not pid: os._exit(0)
        os.waitpid(pid, 0)
    say("done")
"""
_CPU = (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup"))


def test_a_usual_stop_is_not_survived_while_the_tracer_is_stopped(tmp_path: Path) -> None:
    require_root()
    copy = patched_copy(tmp_path / "copy")
    copy.replace(
        "tracer/correlate/stops.py",
        "SURVIVED_AFTER_NS = 60_000_000_000",
        f"SURVIVED_AFTER_NS = {_SURVIVED_AFTER_S}_000_000_000",
    )
    capture, replayed = tmp_path / "stopped.arrows", tmp_path / "replayed.json"
    with PidnsScript(DEAF) as script:
        assert script.listen() == "ready"
        init = script.init_pid
        with Zomtrace("--pidns", str(script.pidns_inum), "-w", capture, **copy.options()) as trace:
            trace.wait_attached()
            os.kill(init, signal.SIGTERM)
            assert script.listen() == "told"
            asked = time.monotonic()
            trace.wait_event("signal", host_pid=init, signal="SIGTERM")
            os.kill(trace.process.pid, signal.SIGSTOP)
            os.kill(init, signal.SIGKILL)
            script.wait()
            wait_for(
                lambda: time.monotonic() > asked + 2 * _SURVIVED_AFTER_S or None,
                "the time after which a stop is survived",
            )
            os.kill(trace.process.pid, signal.SIGCONT)
            result = trace.finish()
    stop = result.stop
    assert (stop["outcome"], stop["escalated"], stop["init_term_signal"]) == (
        "stopped", True, "SIGKILL",
    )  # fmt: skip
    assert stop["grace_ns"] < _SURVIVED_AFTER_S * 1e9
    assert result.report["behind_ns"] > 2e9
    assert " behind: stopped, paused or short of CPU time" in result.stderr
    with Zomtrace(
        "report", capture, "--report", replayed, json_lines=False, **copy.options()
    ) as again:
        again.finish()
    assert '"outcome": "stopped"' in replayed.read_text()


@pytest.fixture
def little_cpu() -> Iterator[Path]:
    """A cgroup that gets 1 % of one processor."""
    require_root()
    files = ("cpu.cfs_quota_us", "cpu.max")
    root = next((one for one in _CPU if (one / "cgroup.procs").exists()), None)
    require("cpu cgroup", root is not None, "there is no cgroup hierarchy of the cpu controller")
    assert root is not None
    cgroup = root / f"zt-starved-{os.getpid()}"
    cgroup.mkdir()
    try:
        quota = next((cgroup / name for name in files if (cgroup / name).exists()), None)
        require("cpu cgroup", quota is not None, "the cpu controller bounds no bandwidth here")
        assert quota is not None
        quota.write_text("1000 100000" if quota.name == "cpu.max" else "1000")
        yield quota
    finally:
        for pid in (cgroup / "cgroup.procs").read_text().split():
            (root / "cgroup.procs").write_text(pid)
        cgroup.rmdir()


def test_a_tracer_without_cpu_time_says_how_far_it_is_behind(little_cpu: Path) -> None:
    with PidnsScript(FORKS) as script:
        assert script.listen() == "ready"
        with Zomtrace("--pidns", str(script.pidns_inum), "--json") as trace:
            trace.wait_attached()
            (little_cpu.parent / "cgroup.procs").write_text(str(trace.process.pid))
            script.tell()
            assert script.listen(60) == "done"
            trace.wait_stderr(" behind: stopped, paused or short of CPU time", within_s=60)
            little_cpu.write_text("max" if little_cpu.name == "cpu.max" else "-1")
            script.tell("")
            result = trace.finish()
    assert result.report["behind_ns"] >= 2e9
    assert result.report["lost"] == {}
    assert len(result.of_kind("exit")) == 3002
    assert result.codes == []
