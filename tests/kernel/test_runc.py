"""Real containers under runc, three at a time in one trace; cgroup v1 and v2."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.live.adopted import AdoptedContainer, adopted, cgroup_of
from tests.live.containers_at_work import pick
from tests.live.require import require
from tests.live.runc import Runc
from tests.live.workloads import workload_files
from tests.live.zomtrace_process import Zomtrace

pytestmark = pytest.mark.subject("runc")


@pytest.fixture
def runtime(runc: Runc) -> Iterator[Runc]:
    """runc, with the workloads in its root file system."""
    runc.add_files(workload_files("family", "eat"))
    return runc


def _has_memory_controller() -> bool:
    return (
        any(
            fields[0] == "memory" and fields[3] == "1"
            for fields in map(str.split, Path("/proc/cgroups").read_text().splitlines())
        )
        or "memory" in Path("/sys/fs/cgroup/cgroup.controllers").read_text()
    )


def _stop(result_stops: list[dict[str, object]], container: AdoptedContainer) -> dict[str, object]:
    (stop,) = [one for one in result_stops if one["container_id"] == container.id]
    return stop


def test_an_end_a_stop_with_grace_and_a_stop_in_one_trace(runtime: Runc) -> None:
    with ExitStack() as stack:
        by_itself = stack.enter_context(adopted(runtime, ["sh", "-c", "read x; exit 7"]))
        obeys = stack.enter_context(adopted(runtime, ["family", "3", "5", "exit"]))
        refuses = stack.enter_context(adopted(runtime, ["sleep", "1000"]))
        obeys.wait_journal("ready")
        trace = stack.enter_context(
            Zomtrace("-c", ",".join((obeys.id, refuses.id)))
        ).wait_attached()
        runtime.cli("kill", obeys.id, "TERM")
        assert obeys.reap() == 0
        runtime.cli("kill", refuses.id, "TERM")
        trace.wait_event("signal", signal="SIGTERM", host_pid=refuses.pid)
        runtime.cli("kill", refuses.id, "KILL")
        assert refuses.reap() == signal.SIGKILL
        result = trace.finish()
        assert by_itself.pid not in {one["host_pid"] for one in result.report["processes"]}
    obeyed = _stop(result.report["stops"], obeys)
    assert pick(obeyed, "init_exit_code", "members", "sigkilled", "already_zombie", "escalated") == {
        "init_exit_code": 0, "members": 8, "sigkilled": 5, "already_zombie": 3, "escalated": False,
    }  # fmt: skip
    refused = _stop(result.report["stops"], refuses)
    assert pick(refused, "stop_signal", "stop_signal_result", "escalated", "init_cause") == {
        "stop_signal": "SIGTERM", "stop_signal_result": "ignored", "escalated": True,
        "init_cause": "grace_expired",
    }  # fmt: skip
    assert {"ZT101", "ZT102", "ZT103"} <= set(result.codes)


def test_an_oom_kill_is_told_from_137(runtime: Runc) -> None:
    require("memory", _has_memory_controller(), "this boot has no memory controller")
    limit = {"memory": {"limit": 32 << 20}}
    with adopted(runtime, ["eat", "256", "self"], resources=limit) as container:
        container.wait_journal("ready")
        with Zomtrace("-c", container.id) as trace:
            trace.wait_attached()
            os.kill(container.pid, signal.SIGUSR1)
            assert container.reap() == signal.SIGKILL
            result = trace.finish()
    victim = result.process(is_init=True)
    assert pick(victim, "term_signal", "cause", "sender_comm") == {
        "term_signal": "SIGKILL", "cause": "oom", "sender_comm": None,
    }  # fmt: skip
    assert result.of_kind("oom", host_pid=victim["host_pid"])
    assert "ZT104" in result.codes


def test_a_cgroup_is_a_target(runtime: Runc) -> None:
    v2 = any(line.split()[2] == "cgroup2" for line in Path("/proc/mounts").read_text().splitlines())
    with adopted(runtime, ["family", "0", "5", "exit"]) as container:
        container.wait_journal("ready")
        with Zomtrace("--cgroup", cgroup_of(container.pid, "" if v2 else "pids")) as trace:
            trace.wait_attached()
            runtime.cli("kill", container.id, "TERM")
            assert container.reap() == 0
            trace.wait_event("reap", host_pid=container.pid)
            result = (
                trace.stop_tracing(status=None) if trace.process.poll() is None else trace.finish()
            )
    assert len(result.processes(cause="pidns_teardown")) == 5
    assert result.process(host_pid=container.pid)["exit_code"] == 0
