"""Real containers under runc, three at a time in one trace; cgroup v1 and v2."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.adopted import adopted, cgroup_of
from tests.support.containers_at_work import pick
from tests.support.require import require
from tests.support.runc import Runc
from tests.support.workloads import workload_files
from tests.support.zomtrace_process import Zomtrace

pytestmark = pytest.mark.subject("runc")


@pytest.fixture
def runtime(runc: Runc) -> Runc:
    """runc, with the workloads in its root file system."""
    runc.add_files(workload_files("family", "eat"))
    return runc


def _has_memory_controller() -> bool:
    version_2 = Path("/sys/fs/cgroup/cgroup.controllers")
    # Newer kernels are built without the memory controller of version 1.
    return (
        any(
            fields[0] == "memory" and fields[3] == "1"
            for fields in map(str.split, Path("/proc/cgroups").read_text().splitlines())
        )
        if not version_2.exists()
        else "memory" in version_2.read_text()
    )


def test_an_end_a_stop_and_a_grace_that_runs_out_in_one_trace(runtime: Runc) -> None:
    leaves_on_usr1 = ["sh", "-c", "trap 'exit 7' USR1; sleep 1000 & echo ready; wait"]
    with ExitStack() as stack:
        leaves = stack.enter_context(adopted(runtime, leaves_on_usr1))
        obeys = stack.enter_context(adopted(runtime, ["family", "3", "5", "exit"]))
        refuses = stack.enter_context(adopted(runtime, ["sleep", "1000"]))
        obeys.wait_journal("ready")
        leaves.wait_journal("ready")
        targets = f"{leaves.id},{obeys.id},{refuses.id}"
        trace = stack.enter_context(Zomtrace("-c", targets)).wait_attached()
        os.kill(leaves.pid, signal.SIGUSR1)
        assert leaves.reap() == 7 << 8
        runtime.cli("kill", obeys.id, "TERM")
        assert obeys.reap() == 0
        runtime.cli("kill", refuses.id, "TERM")
        trace.wait_event("signal", signal="SIGTERM", host_pid=refuses.pid)
        runtime.cli("kill", refuses.id, "KILL")
        assert refuses.reap() == signal.SIGKILL
        result = trace.finish()
    left, obeyed, refused = (
        next(one for one in result.report["stops"] if one["container_id"] == container.id)
        for container in (leaves, obeys, refuses)
    )
    assert pick(left, "init_exit_code", "members", "sigkilled", "stop_signal") == {
        "init_exit_code": 7, "members": 1, "sigkilled": 1, "stop_signal": None,
    }  # fmt: skip
    assert pick(obeyed, "init_exit_code", "sigkilled", "already_zombie", "escalated") == {
        "init_exit_code": 0, "sigkilled": 5, "already_zombie": 3, "escalated": False,
    }  # fmt: skip
    assert pick(refused, "stop_signal", "stop_signal_result", "escalated", "init_cause") == {
        "stop_signal": "SIGTERM", "stop_signal_result": "ignored", "escalated": True,
        "init_cause": "grace_expired",
    }  # fmt: skip
    assert {"ZT101", "ZT102", "ZT103"} <= set(result.codes)


def test_an_oom_kill_is_distinguished_from_137(runtime: Runc) -> None:
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
