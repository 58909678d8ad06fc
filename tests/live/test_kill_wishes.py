"""On whose wish a runtime killed, with a real engine: a lost shim, a health check's timeout."""

from __future__ import annotations

import os
import pty
import signal
from pathlib import Path

from tests.support.containers_at_work import tracing
from tests.support.dockerd import IMAGE, Dockerd
from tests.support.waiting import wait_for


def _parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])


def test_a_container_that_lost_its_shim_was_killed_on_nobodys_wish(docker: Dockerd) -> None:
    container = docker.run("--name", "web", IMAGE, "sleep", "1000")
    shim = _parent_of(docker.pid(container))
    with tracing(docker, "-c", "web", "--min-zombie", "600") as trace:
        os.kill(shim, signal.SIGKILL)
        result = trace.finish()
    found = result.finding("ZT106")
    assert "after its shim had exited" in found["title"]
    assert "containerd cleaned up after it" in found["detail"]
    assert "docker kill" not in found["advice"]


def test_health_checks_that_time_out_are_reported_as_such(docker: Dockerd) -> None:
    check = ("--health-cmd", "sleep 3; true", "--health-interval", "1s", "--health-timeout", "1s")
    docker.run("--name", "web", *check, IMAGE, "sleep", "1000")
    with tracing(docker, "-c", "web", "--min-zombie", "600") as trace:
        wait_for(
            lambda: sum(line["kind"] == "exit" and line["term_signal"] == "SIGKILL"
                        for line in trace.lines_so_far()) >= 2,
            "two checks are killed", within_s=60,
        )  # fmt: skip
        result = trace.stop_tracing()
    (found,) = [one for one in result.report["findings"] if one["code"] == "ZT106"]
    assert "health check" in found["title"]
    assert "docker kill" not in found["advice"]


def test_ctrl_c_without_a_handler_in_pid_1_is_reported(docker: Dockerd) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        command = ["docker", "run", "-it", "--name", "web", "--network", "none", IMAGE]
        os.execvpe(command[0], [*command, "sleep", "1000"], docker.env)
    try:
        wait_for(lambda: docker.cli("ps", "-q", "--filter", "name=web").strip(), "web runs")
        with tracing(docker, "-c", "web") as trace:
            for _ in range(2):
                seen = len(trace.lines_so_far())
                os.write(terminal, b"\x03")
                wait_for(
                    lambda seen=seen: any(  # type: ignore[misc]
                        line.get("signal") == "SIGINT" for line in trace.lines_so_far()[seen:]
                    ),
                    "Ctrl-C arrives",
                )
            result = trace.stop_tracing()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)
    found = result.finding("ZT110")
    assert "SIGINT (Ctrl-C) to PID 1 had no effect" in found["title"]
    assert "sent by its terminal (Ctrl-C) to sleep" in found["detail"]
    assert ", 2 times within " in found["detail"]


def test_the_end_of_a_stop_that_began_before_the_trace_is_no_forced_kill(docker: Dockerd) -> None:
    script = "trap ': > /asked' TERM; while :; do sleep 0.1; done"
    container = docker.run("--name", "web", IMAGE, "sh", "-c", script)
    root = Path(f"/proc/{docker.pid(container)}/root")
    with docker.popen("stop", "-t", "20", "web") as stopping:
        wait_for((root / "asked").exists, "it was sent the stop signal")
        with tracing(docker, "-c", "web") as trace:
            result = trace.finish()
        assert stopping.wait(60) == 0
    found = result.finding("ZT106")
    assert found["title"].endswith("in a stop")
    assert "forced kill" not in found["detail"]
    assert "docker kill" not in found["advice"]
    assert result.stop["stop_signal_disposition"] == "unknown"
