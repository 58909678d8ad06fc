"""Containers beside others, inside others, and what is put into them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.containers_at_work import counts, journal, pick, start, tracing
from tests.support.dockerd import Dockerd
from tests.support.exit_oracle import ExitOracle
from tests.support.noise import storm
from tests.support.waiting import wait_for
from tests.support.workloads import workload_files
from tests.support.zomtrace_process import Result

GO = """trap 'go=1; kill $!' USR1; echo up; while [ -z "$go" ]; do sleep 1000 & wait $!; done"""
"""Shell: wait for SIGUSR1, with one process and nobody left of it after."""


@pytest.fixture(scope="module")
def work(dockerd: Dockerd) -> str:
    """An image with the workloads."""
    return dockerd.import_image("zt-neighbours", workload_files("family", "fates"))


def words(docker: Dockerd, container: str) -> set[str]:
    return set(docker.cli("logs", container).split())


def host_pids_told(docker: Dockerd, container: str, trace: Result) -> set[int]:
    """The host pids of what a container wrote down, init included."""
    told = journal(docker, container)
    ns_pids = {pid for pid, *_ in told.get("zombie", []) + told["live"]}
    return {trace.process(ns_pid=pid)["host_pid"] for pid in ns_pids | {1}}


def test_one_of_two_containers(docker: Dockerd, work: str) -> None:
    traced = start(docker, work, "family", "3", "2", "exit", name="traced")
    other = start(docker, work, "family", "5", "4", "exit", name="other")
    other_inum = os.stat(f"/proc/{docker.pid(other)}/ns/pid").st_ino
    with tracing(docker, "-c", "traced") as trace:
        docker.cli("stop", "other")
        docker.cli("stop", "traced")
        result = trace.finish()
    assert {line["container_id"] for line in result.lines} <= {traced, None}
    assert not [line for line in result.lines if line["pidns_inum"] == other_inum]
    assert result.stop["container_id"] == traced
    assert result.stop["members"] == 5
    assert [one["id"] for one in result.report["containers"]] == [traced]
    assert {one["host_pid"] for one in result.report["processes"]} == host_pids_told(
        docker, traced, result
    )


def test_noise_on_the_host_does_not_show(docker: Dockerd, work: str) -> None:
    container = start(docker, work, "family", "3", "11", "exit")
    init_pid = docker.pid(container)
    inum = os.stat(f"/proc/{init_pid}/ns/pid").st_ino
    with ExitOracle() as oracle, storm() as noise:
        with tracing(docker, "-c", "web") as trace:
            wait_for(lambda: len(oracle.exits) > 2000, "the storm rages")
            docker.cli("stop", "web")
            result = trace.finish()
        stormed = noise.end()
    assert stormed > 2000
    told = host_pids_told(docker, container, result)
    assert {one["host_pid"] for one in result.report["processes"]} == told
    outside = [line for line in result.lines if line["host_pid"] not in told | {None}]
    # But for the shim being told of init's end: that is when init was a zombie. What is
    # read of it, if it takes its time, and of who sent a signal is told as well.
    told_of_init = [line for line in outside if line["kind"] != "observation"]
    assert [(line["kind"], line["signal"], line["comm"]) for line in told_of_init] == [
        ("signal", "SIGCHLD", "containerd-shim")
    ]
    senders = {line["sender_host_pid"] for line in result.of_kind("signal")}
    assert {line["host_pid"] for line in outside} <= senders | {told_of_init[0]["host_pid"]}
    assert {line["pidns_inum"] for line in result.lines if line not in outside} <= {inum, None}
    assert counts(result.stop) == {"members": 14, "sigkilled": 11, "already_zombie": 3}
    assert result.report["lost"] == {}
    assert result.report["complete"]


def test_two_containers_in_one_trace(docker: Dockerd, work: str) -> None:
    start(docker, work, "family", "3", "2", "exit", name="one")
    start(docker, work, "family", "5", "4", "exit", name="two")
    with tracing(docker, "-c", "one,two") as trace:
        docker.cli("stop", "two")
        trace.wait_line(
            lambda line: (
                line["kind"] == "reap" and line["container_name"] == "two" and line["ns_pid"] == 1
            ),
            "the end of two",
        )
        docker.cli("stop", "one")
        result = trace.finish()
    assert {stop["container_name"]: counts(stop) for stop in result.report["stops"]} == {
        "one": {"members": 5, "sigkilled": 2, "already_zombie": 3},
        "two": {"members": 9, "sigkilled": 4, "already_zombie": 5},
    }
    assert result.codes == ["ZT102", "ZT102"]


def test_init_that_execs(docker: Dockerd, work: str) -> None:
    container = start(docker, work, "sh", "-c", f"{GO}; exec family 0 3 exit", word="up")
    init_pid = docker.pid(container)
    with tracing(docker, "-c", "web") as trace:
        docker.cli("kill", "--signal", "USR1", "web")
        wait_for(lambda: "ready" in docker.cli("logs", container), "init became family")
        docker.cli("stop", "web")
        result = trace.finish()
    (became,) = result.of_kind("exec", host_pid=init_pid)
    assert became["comm"] == "family"
    assert pick(result.stop, "init_comm", "init_host_pid", "sigkilled", "init_exit_code") == {
        "init_comm": "family", "init_host_pid": init_pid, "sigkilled": 3, "init_exit_code": 0,
    }  # fmt: skip
    (init,) = result.processes(host_pid=init_pid)
    assert init["is_init"]
    assert init["comm"] == "family"


def test_execed_process_has_its_parent_outside(docker: Dockerd, work: str) -> None:
    container = start(docker, work, "family", "0", "1", "exit")
    shim = int(Path(f"/proc/{docker.pid(container)}/stat").read_text().split(") ")[1].split()[1])
    with tracing(docker, "-c", "web") as trace:
        docker.cli("exec", "web", "sh", "-c", "exit 7", check=False)
        done = trace.wait_event("exit", exit_code=7)
        trace.wait_event("reap", host_pid=done["host_pid"])
        docker.cli("exec", "-d", "web", "sleep", "1000")
        sleep = trace.wait_event("exec", comm="sleep")
        docker.cli("stop", "web")
        result = trace.finish()
    assert pick(
        result.process(host_pid=done["host_pid"]), "end", "exit_code", "reap_kind",
        "reaper_comm", "reaper_host_pid",
    ) == {
        "end": "exit", "exit_code": 7, "reap_kind": "adopter", "reaper_comm": "containerd-shim",
        "reaper_host_pid": shim,
    }  # fmt: skip
    # The teardown kills the exec'd sleep and waits until the shim reaped it.
    assert pick(
        result.process(host_pid=sleep["host_pid"]), "term_signal", "cause", "reap_kind",
        "reaper_comm",
    ) == {
        "term_signal": "SIGKILL", "cause": "pidns_teardown", "reap_kind": "teardown",
        "reaper_comm": "containerd-shim",
    }  # fmt: skip
    assert result.stop["sigkilled"] == 2
    assert result.of_kind("loss") == []


def test_every_exit_is_as_the_process_connector_reports_it(docker: Dockerd, work: str) -> None:
    ways = [f"{way}:{n}" for way in ("exit", "kill", "raise") for n in (1, 2, 3, 6, 9, 15, 31)]
    script = f"{GO}; (exit 42); fates {' '.join(ways)} & exec family 5 3 exit"
    with ExitOracle() as oracle:
        container = start(docker, work, "sh", "-c", script, word="up")
        init_pid = docker.pid(container)
        with tracing(docker, "-c", "web") as trace:
            docker.cli("kill", "--signal", "USR1", "web")
            wait_for(lambda: {"done", "ready"} <= words(docker, container), "both are done")
            docker.cli("exec", "web", "sh", "-c", "(exit 44); exit 43", check=False)
            docker.cli("stop", "web")
            result = trace.finish()
        oracle.wait_for_exit(init_pid)
    told, seen = oracle.statuses(), result.statuses()
    assert seen == {pid: told[pid] for pid in seen}
    # And the other way round: no descendant of init's is missing.
    descendants = {init_pid}
    for fork in oracle.forks:
        if fork.parent_host_pid in descendants:
            descendants.add(fork.child_host_pid)
    # init, sleep, (exit 42), fates and its children; family's children.
    assert len(descendants) == 1 + 1 + 1 + 1 + len(ways) + 5 + 3
    assert descendants <= seen.keys()
    execed = sorted(seen[pid] >> 8 for pid in seen.keys() - descendants)
    assert execed == [43, 44]


def test_host_pid_namespace_is_distinguished_by_cgroup(docker: Dockerd, work: str) -> None:
    first = start(docker, "--pid=host", work, "family", "2", "3", "forward", name="first")
    start(docker, "--pid=host", work, "family", "4", "5", "forward", name="second")
    with tracing(docker, "-c", "first") as trace:
        docker.cli("stop", "second")
        docker.cli("stop", "first")
        result = trace.finish()
    told = journal(docker, first)
    expected = {pid for pid, _ in told["zombie"]} | {pid for (pid,) in told["live"]}
    processes = result.processes(container_id=first)
    assert {one["host_pid"] for one in processes} == expected | {result.stop["init_host_pid"]}
    assert all(one["ns_pid"] == one["host_pid"] for one in processes)
    assert pick(result.stop, "container_name", "stop_signal", "init_exit_code") == {
        "container_name": "first", "stop_signal": "SIGTERM", "init_exit_code": 0,
    }  # fmt: skip
    assert counts(result.stop) == {"members": 5, "signalled": 3, "already_zombie": 2}
    assert result.codes == []


def test_init_that_dies_of_the_stop_signal_itself(docker: Dockerd, work: str) -> None:
    # No PID 1 of its own namespace: the default action does apply to it.
    container = docker.run("--name", "web", "--pid=host", work, "sleep", "1000")
    with tracing(docker, "-c", "web") as trace:
        docker.cli("stop", "-t", "9", "web")
        result = trace.finish()
    assert docker.cli("inspect", "--format", "{{.State.ExitCode}}", container) == "143"
    assert pick(
        result.stop, "stop_signal_result", "stop_signal_disposition", "escalated",
        "init_term_signal", "init_cause", "outcome", "kill_sender_comm",
    ) == {
        "stop_signal_result": "delivered", "stop_signal_disposition": "default",
        "escalated": False, "init_term_signal": "SIGTERM", "init_cause": "stop_signal",
        "outcome": "stopped", "kill_sender_comm": None,
    }  # fmt: skip
    assert result.codes == []


def test_joined_pid_namespace_is_distinguished_by_cgroup(docker: Dockerd, work: str) -> None:
    start(docker, work, "family", "2", "3", "exit", name="host")
    guest = start(docker, "--pid=container:host", work, "family", "0", "4", "forward", name="guest")
    with tracing(docker, "-c", "guest") as trace:
        docker.cli("stop", "guest")
        result = trace.finish()
    told = journal(docker, guest)
    assert pick(result.stop, "container_name", "init_exit_code") == {
        "container_name": "guest", "init_exit_code": 0,
    }  # fmt: skip
    assert counts(result.stop) == {"members": 4, "signalled": 4}
    assert {one["ns_pid"] for one in result.processes(container_id=guest)} == {
        *(pid for (pid,) in told["live"]), result.process(is_init=True)["ns_pid"]
    }  # fmt: skip
    assert result.process(is_init=True)["ns_pid"] != 1
