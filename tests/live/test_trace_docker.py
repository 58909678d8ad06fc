"""``zomtrace -c NAME`` & ``docker stop NAME``: who sent what to whom, and each fate."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.support.containers_at_work import COUNTS, counts, journal, pick, start, tracing
from tests.support.dockerd import IMAGE, Dockerd
from tests.support.workloads import workload_files
from tests.support.zomtrace_process import Zomtrace


@pytest.fixture(scope="module")
def work(dockerd: Dockerd) -> str:
    """An image with the workloads."""
    return dockerd.import_image("zt-stops", workload_files("family"))


@pytest.mark.parametrize(("zombies", "live"), [(97, 13), (997, 7)])
def test_init_that_forwards_nothing(docker: Dockerd, work: str, zombies: int, live: int) -> None:
    container = start(docker, work, "family", str(zombies), str(live), "exit")
    init_pid = docker.pid(container)
    with tracing(docker, "-c", "web", "--min-zombie", "0") as trace:
        docker.cli("stop", "-t", "10", "web")
        result = trace.finish()
    told = journal(docker, container)
    assert len(told["live"]) == live
    assert len(told["zombie"]) == zombies
    assert told["term"] == [[]]

    assert counts(result.stop) == {
        "members": zombies + live, "sigkilled": live, "already_zombie": zombies
    }  # fmt: skip
    assert pick(
        result.stop, "container_id", "container_name", "init_host_pid", "init_comm", "trigger",
        "stop_signal", "stop_signal_result", "stop_signal_disposition", "stop_sender_comm",
        "escalated", "kill_sender_comm", "outcome", "init_exit_code", "init_term_signal",
        "init_cause", "complete",
    ) == {
        "container_id": container, "container_name": "web", "init_host_pid": init_pid,
        "init_comm": "family", "trigger": "stop_signal", "stop_signal": "SIGTERM",
        "stop_signal_result": "delivered", "stop_signal_disposition": "caught",
        "stop_sender_comm": "runc", "escalated": False, "kill_sender_comm": None,
        "outcome": "stopped", "init_exit_code": 0, "init_term_signal": None,
        "init_cause": None, "complete": True,
    }  # fmt: skip
    assert result.stop["stop_sender_chain"][0] == "containerd-shim"
    assert 0 < result.stop["grace_ns"] < 5e9
    assert 0 < result.stop["teardown_ns"] <= result.stop["duration_ns"] < 10e9

    for (ns_pid,) in told["live"]:
        process = result.process(ns_pid=ns_pid)
        assert pick(
            process, "comm", "end", "term_signal", "cause", "sender_host_pid", "sender_comm",
            "trigger_host_pid", "trigger_comm", "stop_signal_seen", "stop_signal_disposition",
            "reap_kind", "parent_host_pid",
        ) == {
            "comm": "family", "end": "signal", "term_signal": "SIGKILL",
            "cause": "pidns_teardown", "sender_host_pid": None, "sender_comm": None,
            "trigger_host_pid": init_pid, "trigger_comm": "family", "stop_signal_seen": False,
            "stop_signal_disposition": "not_sent", "reap_kind": "teardown",
            "parent_host_pid": init_pid,
        }  # fmt: skip
    for ns_pid, status in told["zombie"]:
        process = result.process(ns_pid=ns_pid)
        assert pick(
            process, "end", "exit_code", "cause", "stop_signal_seen", "reap_kind"
        ) == {
            "end": "exit", "exit_code": status, "cause": None, "stop_signal_seen": False,
            "reap_kind": "teardown",
        }  # fmt: skip
    named = {zombie["ns_pid"]: zombie for zombie in result.report["zombies"]}
    attached_ns = result.lines[0]["boot_ns"]
    for ns_pid, _ in told["zombie"]:
        zombie = named.pop(ns_pid)
        assert pick(
            zombie, "parent_host_pid", "parent_comm", "reaped", "reap_kind", "precision",
            "live_threads", "parent_sigchld", "injected",
        ) == {
            "parent_host_pid": init_pid, "parent_comm": "family", "reaped": True,
            "reap_kind": "teardown", "precision": "lower_bound", "live_threads": 0,
            "parent_sigchld": "default", "injected": False,
        }  # fmt: skip
        assert zombie["zombie_ns"] >= result.stop["begin_boot_ns"] - attached_ns - 50e6
    # What the teardown killed never was a zombie; init was its shim's for a moment.
    assert [zombie["ns_pid"] for zombie in named.values()] in ([], [1])
    not_forwarded = result.finding("ZT102")
    assert set(not_forwarded["host_pids"]) == {
        init_pid, *(result.process(ns_pid=ns_pid)["host_pid"] for (ns_pid,) in told["live"])
    }  # fmt: skip
    leak = result.finding("ZT201")
    assert set(leak["host_pids"]) == {
        init_pid, *(result.process(ns_pid=ns_pid)["host_pid"] for ns_pid, _ in told["zombie"])
    }  # fmt: skip
    assert not {"ZT101", "ZT103", "ZT104", "ZT105", "ZT106", "ZT901"} & set(result.codes)


def test_dropped_stop_signal_then_sigkill_after_the_grace(docker: Dockerd, work: str) -> None:
    container = start(docker, work, "family", "0", "5", "default")
    with tracing(docker, "-c", "web") as trace:
        docker.cli("stop", "-t", "1", "web")
        result = trace.finish()
    assert docker.cli("inspect", "--format", "{{.State.ExitCode}}", container) == "137"
    stop = result.stop
    assert pick(
        stop, "stop_signal", "stop_signal_result", "stop_signal_disposition", "escalated",
        "stop_sender_comm", "kill_sender_comm", "init_term_signal", "init_cause", *COUNTS,
    ) == {
        "stop_signal": "SIGTERM", "stop_signal_result": "ignored",
        "stop_signal_disposition": "default", "escalated": True, "stop_sender_comm": "runc",
        "kill_sender_comm": "runc", "init_term_signal": "SIGKILL",
        "init_cause": "grace_expired", "members": 5, "sigkilled": 5, "signalled": 0,
        "exited": 0, "already_zombie": 0, "survived": 0,
    }  # fmt: skip
    assert stop["kill_sender_chain"][0] == "containerd-shim"
    assert 1e9 <= stop["grace_ns"] < 4e9
    assert result.codes == ["ZT101", "ZT103"]
    assert result.fates() == Counter(
        {("signal", "grace_expired"): 1, ("signal", "pidns_teardown"): 5}
    )


def test_ignored_stop_signal_is_not_called_dropped(docker: Dockerd, work: str) -> None:
    start(docker, work, "family", "0", "2", "ignore")
    with tracing(docker, "-c", "web") as trace:
        docker.cli("stop", "-t", "1", "web")
        result = trace.finish()
    assert pick(result.stop, "stop_signal_result", "stop_signal_disposition", "escalated") == {
        "stop_signal_result": "ignored", "stop_signal_disposition": "ignored", "escalated": True,
    }  # fmt: skip
    assert result.codes == ["ZT103"]


def test_tini_forwards_and_no_one_is_killed(docker: Dockerd, work: str) -> None:
    container = start(docker, "--init", work, "family", "3", "4", "forward")
    with tracing(docker, "-c", "web") as trace:
        docker.cli("stop", "-t", "10", "web")
        result = trace.finish()
    told = journal(docker, container)
    assert [status for _, status in told["waited"]] == [15] * 4
    stop = result.stop
    # tini has the signal blocked and takes it by sigwait.
    assert pick(
        stop, "init_comm", "stop_signal_disposition", "escalated", "init_exit_code", *COUNTS
    ) == {
        "init_comm": "docker-init", "stop_signal_disposition": "blocked", "escalated": False,
        "init_exit_code": 0, "members": 8, "sigkilled": 0, "signalled": 4, "exited": 1,
        "already_zombie": 3, "survived": 0,
    }  # fmt: skip
    for ns_pid, _ in told["waited"]:
        assert pick(
            result.process(ns_pid=ns_pid), "term_signal", "cause", "sender_comm",
            "stop_signal_seen", "stop_signal_disposition", "reap_kind",
        ) == {
            "term_signal": "SIGTERM", "cause": "stop_signal", "sender_comm": "family",
            "stop_signal_seen": True, "stop_signal_disposition": "default",
            "reap_kind": "parent",
        }  # fmt: skip
    assert not result.of_kind("signal", signal="SIGKILL", result="delivered")
    assert result.codes == []


def test_docker_kill_is_the_runtimes_kill(docker: Dockerd, work: str) -> None:
    start(docker, work, "family", "2", "3", "exit")
    with tracing(docker, "-c", "web") as trace:
        docker.cli("kill", "web")
        result = trace.finish()
    assert pick(
        result.stop, "trigger", "stop_signal", "stop_signal_result", "stop_signal_disposition",
        "grace_ns", "kill_sender_comm", "init_term_signal", "init_cause", "complete", *COUNTS,
    ) == {
        "trigger": "sigkill", "stop_signal": None, "stop_signal_result": None,
        # A grace may have been running when tracing began.
        "stop_signal_disposition": "unknown", "complete": False,
        "grace_ns": None, "kill_sender_comm": "runc",
        "init_term_signal": "SIGKILL", "init_cause": "runtime_kill", "members": 5,
        "sigkilled": 3, "signalled": 0, "exited": 0, "already_zombie": 2, "survived": 0,
    }  # fmt: skip
    assert "ZT103" not in result.codes
    assert "ZT102" not in result.codes


def test_configured_stop_signal_begins_the_stop(docker: Dockerd, work: str) -> None:
    start(docker, "--stop-signal", "SIGQUIT", work, "family", "0", "1", "exit")
    with tracing(docker, "-c", "web") as trace:
        docker.cli("kill", "--signal", "HUP", "web")
        trace.wait_event("signal", signal="SIGHUP")
        docker.cli("stop", "-t", "1", "web")
        result = trace.finish()
    # A HUP is no stop; QUIT is, and this init has no handler for either.
    assert pick(result.stop, "stop_signal", "stop_signal_result", "escalated") == {
        "stop_signal": "SIGQUIT", "stop_signal_result": "ignored", "escalated": True,
    }  # fmt: skip
    assert result.codes == ["ZT101", "ZT103", "ZT110"]
    assert "SIGHUP" in result.finding("ZT110")["title"]


def test_engine_evidence_names_the_request(docker: Dockerd, work: str) -> None:
    container = start(docker, work, "family", "0", "0", "exit")
    with tracing(docker, "-c", "web") as trace:
        docker.cli("stop", "web")
        result = trace.finish()
    asked = [line["values"] for line in result.of_kind("observation", source="docker")]
    assert ("kill", "SIGTERM") in [(one["action"], one["signal"]) for one in asked]
    assert {one["container_id"] for one in asked} == {container}


@pytest.mark.parametrize(
    ("option", "kept"),
    [
        ("on", ["sh -c redis-cli -a ***; true", "mysql -p*** shop"]),
        ("off", [None, None]),
    ],
)
def test_what_was_executed_in_it_is_reported_without_its_secrets(
    docker: Dockerd, work: str, option: str, kept: list[str | None]
) -> None:
    start(docker, work, "family", "0", "0", "exit")
    with tracing(docker, "-c", "web", "--show-commands", option) as trace:
        docker.cli("exec", "web", "sh", "-c", "redis-cli -a correcthorse; true", check=False)
        docker.cli("exec", "web", "mysql", "-pcorrecthorse", "shop", check=False)
        docker.cli("stop", "web")
        result = trace.finish()
    asked = [line["values"] for line in result.of_kind("observation", source="docker")]
    assert [one["detail"] for one in asked if one["action"] == "exec_create"] == kept
    assert "correcthorse" not in result.stdout.decode()


def test_stop_command_traces_its_own_stop(docker: Dockerd, work: str) -> None:
    container = start(docker, work, "family", "3", "2", "default")
    with Zomtrace("stop", "-c", "web", "--grace", "1", env=docker.env) as trace:
        result = trace.finish()
    assert docker.cli("inspect", "--format", "{{.State.Running}}", container) == "false"
    assert pick(result.stop, "stop_signal_result", "escalated", "stop_sender_comm", *COUNTS) == {
        "stop_signal_result": "ignored", "escalated": True, "stop_sender_comm": "runc",
        "members": 5, "sigkilled": 2, "signalled": 0, "exited": 0, "already_zombie": 3,
        "survived": 0,
    }  # fmt: skip
    assert 1e9 <= result.stop["grace_ns"] < 4e9
    assert {"ZT101", "ZT103"} <= set(result.codes)


def test_container_that_ends_by_itself(docker: Dockerd) -> None:
    docker.run("--name", "web", IMAGE, "sh", "-c", "trap 'exit 5' USR1; while :; do :; done")
    with tracing(docker, "-c", "web") as trace:
        docker.cli("kill", "--signal", "USR1", "web")
        result = trace.finish()
    assert pick(result.stop, "trigger", "stop_signal", "init_exit_code", "members") == {
        "trigger": "init_exit", "stop_signal": None, "init_exit_code": 5, "members": 0,
    }  # fmt: skip
    assert result.codes == []
