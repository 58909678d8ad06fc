"""The OOM killer, told from what looks like it; and whose limit it was."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.adopted import AdoptedContainer, cgroup_of
from tests.support.containers_at_work import pick
from tests.support.hungry import LIMIT, hungry
from tests.support.require import require
from tests.support.runc import Runc
from tests.support.zomtrace_process import Result, Zomtrace

pytestmark = pytest.mark.live


def eat_up(container: AdoptedContainer, trace: Zomtrace) -> Result:
    """Have it eat, and end it once all of its children are dead."""
    os.kill(container.pid, signal.SIGUSR1)
    container.wait_journal("over")
    os.kill(container.pid, signal.SIGTERM)
    container.reap()
    return trace.finish()


def told(container: AdoptedContainer) -> dict[int, int]:
    """What PID 1 wrote down: pid -> raw wait status."""
    return {int(line[1]): int(line[2]) for line in container.journal if line[0] == "child"}


@pytest.mark.parametrize("mode", ["touch", "write"])
def test_oom_in_a_page_fault_and_in_a_system_call(runc: Runc, mode: str) -> None:
    with hungry(runc, mode) as (container, trace):
        result = eat_up(container, trace)
        ((victim, status),) = told(container).items()
    assert status == signal.SIGKILL
    process = result.process(ns_pid=victim)
    assert pick(process, "term_signal", "cause", "sender_host_pid", "trigger_host_pid") == {
        "term_signal": "SIGKILL", "cause": "oom", "sender_host_pid": None,
        "trigger_host_pid": process["host_pid"],
    }  # fmt: skip
    # The line of the signal says nothing that the mark behind it takes back.
    (sent,) = result.of_kind("signal", host_pid=process["host_pid"], signal="SIGKILL")
    assert sent["cause"] in {"unknown", "oom"}
    assert result.finding("ZT104")["host_pids"] == [process["host_pid"]]
    # A worker's end is the gravest of it, though PID 1 was stopped in order after that.
    assert result.report["headline"].startswith("The OOM killer killed")
    assert {"ZT105", "ZT106"}.isdisjoint(result.codes)


def test_a_process_that_shares_the_memory_dies_of_the_same_oom(runc: Runc) -> None:
    with hungry(runc, "share") as (container, trace):
        result = eat_up(container, trace)
        statuses = told(container)
    assert list(statuses.values()) == [signal.SIGKILL] * 2
    # One of them is marked as the victim. The other is sent its SIGKILL right behind
    # that; where it had asked for the memory itself, a CPU limit looks the same.
    (marked,) = {line["host_pid"] for line in result.of_kind("oom")}
    by_pid = {one["host_pid"]: one for one in (result.process(ns_pid=pid) for pid in statuses)}
    assert by_pid.pop(marked)["cause"] == "oom"
    ((pid, other),) = by_pid.items()
    asked = other["trigger_host_pid"] == pid
    assert other["cause"] == ("unknown" if asked else "oom")


def test_cgroup_kill_in_the_middle_of_eating_is_no_oom(runc: Runc) -> None:
    with hungry(runc, "touch", None) as (container, trace):
        cgroup = cgroup_of(container.pid)
        require("cgroup-kill", (cgroup / "cgroup.kill").exists(), "no cgroup.kill here")
        os.kill(container.pid, signal.SIGUSR1)
        (cgroup / "cgroup.kill").write_text("1")
        container.reap()
        result = trace.finish()
    causes = {one["cause"] for one in result.processes(term_signal="SIGKILL")}
    assert causes <= {"cgroup_kill", "pidns_teardown"}
    assert result.stop["init_cause"] == "cgroup_kill"
    assert "ZT104" not in result.codes


def test_the_containers_own_limit_is_named(runc: Runc) -> None:
    with hungry(runc, "touch") as (container, trace):
        path = cgroup_of(container.pid, "memory") if _is_v1() else cgroup_of(container.pid)
        result = eat_up(container, trace)
    detail = result.finding("ZT104")["detail"]
    assert f"The limit was the container's own (32 MiB, {path})" in detail


def test_the_limit_of_a_cgroup_above_is_named(runc: Runc) -> None:
    with hungry(runc, "touch", None) as (container, trace):
        own = cgroup_of(container.pid, "memory") if _is_v1() else cgroup_of(container.pid)
        # All containers of this test's runtime are below it: it stands for a pod.
        limit = own.parent / ("memory.limit_in_bytes" if _is_v1() else "memory.max")
        before = limit.read_text()
        limit.write_text(str(LIMIT))
        try:
            result = eat_up(container, trace)
        finally:
            limit.write_text("-1" if _is_v1() else before)
    detail = result.finding("ZT104")["detail"]
    assert f"The limit was that of a cgroup above it (32 MiB, {own.parent})" in detail


def _is_v1() -> bool:
    return Path("/sys/fs/cgroup/memory").is_dir()


def test_counters_are_read_back_after_the_kill(runc: Runc) -> None:
    with hungry(runc, "touch") as (container, trace):
        result = eat_up(container, trace)
    kills = [
        line["values"]["levels"][0]["kills"]
        for line in result.of_kind("observation", source="cgroup")
        if line["values"]["controller"] == "memory"
    ]
    assert (kills[0], kills[-1]) == (0, 1)
