"""``--follow``: a container that is restarted, or made anew, is the same target."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.live.containers_at_work import counts, pick, tracing
from tests.live.dockerd import Dockerd
from tests.live.runc import Runc
from tests.live.waiting import wait_for
from tests.live.workloads import workload_files
from tests.live.zomtrace_process import Zomtrace, run_zomtrace

pytestmark = pytest.mark.live


def lives(trace: Zomtrace, count: int) -> None:
    """Wait until a number of runs of the container were found."""
    wait_for(lambda: trace.stderr.count("is back") == count - 1, f"run {count}", within_s=20)


def test_docker_restart_is_two_stops_in_one_report(docker: Dockerd) -> None:
    image = docker.import_image("zt-follow", workload_files("family"))
    container = docker.run("--name", "web", image, "family", "3", "5", "exit")
    wait_for(lambda: "ready" in docker.cli("logs", "web").split(), "web is ready")
    first = docker.pid(container)
    with tracing(docker, "-c", "web", "--follow") as trace:
        docker.cli("restart", "-t", "5", "web")
        lives(trace, 2)
        second = docker.pid(container)
        docker.cli("stop", "-t", "5", "web")
        trace.wait_event("exit", host_pid=second)
        wait_for(lambda: trace.stderr.count("web ended") == 2, "the second end is told")
        result = trace.stop_tracing()
    assert first != second
    stops = result.report["stops"]
    assert [stop["init_host_pid"] for stop in stops] == [first, second]
    for stop in stops:
        assert pick(stop, "container_name", "stop_signal", "outcome", "init_exit_code") == {
            "container_name": "web", "stop_signal": "SIGTERM", "outcome": "stopped",
            "init_exit_code": 0,
        }  # fmt: skip
        assert counts(stop) == {"members": 8, "sigkilled": 5, "already_zombie": 3}
    assert {one["container_id"] for one in result.report["processes"]} == {container}
    assert result.codes.count("ZT102") == 2
    assert result.report["complete"]


def test_without_follow_the_trace_ends_with_the_container(docker: Dockerd) -> None:
    image = docker.import_image("zt-follow", workload_files("family"))
    container = docker.run("--name", "web", image, "family", "0", "1", "exit")
    wait_for(lambda: "ready" in docker.cli("logs", container).split(), "web is ready")
    with tracing(docker, "-c", "web") as trace:
        docker.cli("restart", "-t", "5", "web")
        result = trace.finish()
    assert len(result.report["stops"]) == 1


def test_a_container_made_anew_under_its_id(runc: Runc) -> None:
    runc.add_files(workload_files("family"))
    name = runc.new_id()
    container = runc.run(["family", "0", "2", "exit"], container_id=name)
    wait_for(lambda: "ready" in container.log.read_text(), "it is ready")
    with Zomtrace("-c", name, "--follow") as trace:
        trace.wait_attached()
        first = container.pid
        runc.cli("kill", name, "TERM")
        trace.wait_stderr("ended; waiting")
        wait_for(lambda: not Path(f"/proc/{first}").exists(), "it is reaped")
        runc.cli("delete", name)
        bundle = container.bundle
        with (bundle / "output").open("wb") as output:
            subprocess.run(
                [*runc.command, "run", "--detach", "--bundle", bundle,
                 "--pid-file", bundle / "pid", name],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=True,
            )  # fmt: skip
        second = int((bundle / "pid").read_text())
        lives(trace, 2)
        runc.cli("kill", name, "KILL")
        trace.wait_event("exit", host_pid=second)
        result = trace.stop_tracing()
    stops = result.report["stops"]
    assert [(stop["init_host_pid"], stop["trigger"]) for stop in stops] == [
        (first, "stop_signal"), (second, "sigkill"),
    ]  # fmt: skip
    assert [counts(stop)["sigkilled"] for stop in stops] == [2, 2]


def test_follow_without_a_container_is_a_usage_error() -> None:
    result = run_zomtrace("--all", "--follow", "-d", "1", status=2, holds_contract=False)
    assert "--follow goes with -c" in result.stderr
