"""``--follow``: a container that is restarted, or made anew, is the same target."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.cgroups import cgroup_root
from tests.support.containers_at_work import counts, pick, tracing
from tests.support.dockerd import Dockerd
from tests.support.require import require
from tests.support.runc import Runc
from tests.support.waiting import wait_for
from tests.support.workloads import workload_files
from tests.support.zomtrace_process import Zomtrace, run_zomtrace

pytestmark = pytest.mark.live


def lives(trace: Zomtrace, count: int) -> None:
    """Wait until a number of runs of the container were found."""
    wait_for(lambda: trace.stderr.count("is back") == count - 1, f"run {count}", within_s=60)


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
        wait_for(lambda: trace.stderr.count("web stopped") == 2, "the second stop is reported")
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
        trace.wait_stderr("stopped; waiting")
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


@pytest.fixture
def a_cgroup() -> Iterator[Path]:
    root = next((one for one in map(cgroup_root, (None, "pids")) if one is not None), None)
    assert root is not None, "there is no cgroup hierarchy"
    path = root / f"zt-follow-{os.getpid()}"
    path.mkdir()
    yield path
    with suppress(FileNotFoundError):
        path.rmdir()


def exit_in(cgroup: Path, code: int) -> None:
    """Run a process in a cgroup, and wait until it is empty again."""
    script = f'echo $$ > "{cgroup}/cgroup.procs"; sh -c "exit {code}"; true'
    subprocess.run(["sh", "-c", script], check=True)
    wait_for(lambda: not (cgroup / "cgroup.procs").read_text() or None, f"{cgroup} is empty")


def test_a_removed_cgroup_ends_its_trace_and_that_is_said(a_cgroup: Path) -> None:
    with Zomtrace("--cgroup", a_cgroup) as trace:
        trace.wait_attached()
        exit_in(a_cgroup, 7)
        a_cgroup.rmdir()
        result = trace.finish()
    assert f"cgroup {a_cgroup} was removed" in result.stderr
    assert len(result.of_kind("exit", exit_code=7)) == 1


def test_a_cgroup_that_is_made_anew_is_followed(a_cgroup: Path) -> None:
    with Zomtrace("--cgroup", a_cgroup, "--follow") as trace:
        trace.wait_attached()
        exit_in(a_cgroup, 7)
        a_cgroup.rmdir()
        trace.wait_stderr("was removed; waiting for it to be created again")
        a_cgroup.mkdir()
        trace.wait_stderr(f"cgroup {a_cgroup} is back")
        exit_in(a_cgroup, 9)
        trace.wait_event("exit", exit_code=9)
        result = trace.stop_tracing()
    assert len(result.of_kind("exit", exit_code=7)) == 1


def test_a_cgroup_that_is_renamed_and_renamed_back_is_followed() -> None:
    top = Path("/sys/fs/cgroup/pids")
    require("cgroup v1", (top / "cgroup.procs").exists(), "no pids hierarchy of version 1 here")
    path, other = top / f"zt-follow-{os.getpid()}", top / f"zt-follow-{os.getpid()}-other"
    path.mkdir()
    try:
        with Zomtrace("--cgroup", path, "--follow") as trace:
            trace.wait_attached()
            path.rename(other)
            trace.wait_stderr("was removed; waiting for it to be created again")
            other.rename(path)
            trace.wait_stderr(f"cgroup {path} is back")
            exit_in(path, 9)
            trace.wait_event("exit", exit_code=9)
            trace.stop_tracing()
    finally:
        for each in (path, other):
            with suppress(FileNotFoundError):
                each.rmdir()


def test_follow_without_a_container_is_a_usage_error() -> None:
    result = run_zomtrace("--all", "--follow", "-d", "1", status=2, holds_contract=False)
    assert "--follow requires -c" in result.stderr
