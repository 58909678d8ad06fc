"""Limits of cgroup v2: a group that goes at once, and forks that are refused."""

from __future__ import annotations

import os
import signal

import pytest

from tests.support.adopted import cgroup_of
from tests.support.containers_at_work import pick
from tests.support.filling import end, fill_up, filling
from tests.support.hungry import hungry
from tests.support.require import require
from tests.support.runc import Runc

pytestmark = pytest.mark.subject("limits")


@pytest.fixture(autouse=True)
def _cgroup_v2(runc: Runc) -> None:
    version_2 = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    require("cgroup-v2", version_2, "the controllers are not on cgroup v2")


def test_the_whole_group_goes_at_once(runc: Runc) -> None:
    with hungry(runc, "touch") as (container, trace):
        (cgroup_of(container.pid) / "memory.oom.group").write_text("1")
        os.kill(container.pid, signal.SIGUSR1)
        assert container.reap() == signal.SIGKILL
        result = trace.finish()
    assert pick(result.stop, "trigger", "init_cause") == {"trigger": "oom", "init_cause": "oom"}
    causes = {one["cause"] for one in result.report["processes"]}
    assert causes <= {"oom", "pidns_teardown"}
    # The victim is marked, and so is every other of the group.
    assert {line["host_pid"] for line in result.of_kind("oom")} >= {container.pid}


def test_zombies_fill_the_limit_and_the_refused_caller_is_named(runc: Runc) -> None:
    with filling(runc, "17", "4", limit=31) as (container, trace):
        fill_up(container, trace)
        end(container, trace)
        result = trace.finish()
    zombies = {one["host_pid"] for one in result.processes(end="exit", is_init=False)}
    assert len(zombies) == 26
    assert set(result.finding("ZT301")["host_pids"]) == zombies
    (refused,) = result.of_kind("fork_failed")
    assert pick(refused, "host_pid", "comm") == {"host_pid": container.pid, "comm": "fill"}
    assert zombies <= set(result.finding("ZT302")["host_pids"])
