"""ZT301 and ZT302: a pids limit filled by zombies, by live tasks, and not filled."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.live.adopted import AdoptedContainer, adopted
from tests.live.runc import Runc
from tests.live.waiting import wait_for
from tests.live.workloads import workload_files
from tests.live.zomtrace_process import Json, Zomtrace

pytestmark = pytest.mark.live


@contextmanager
def filling(runc: Runc, *args: str, limit: int) -> Iterator[tuple[AdoptedContainer, Zomtrace]]:
    """A container with a pids limit, and zomtrace on it, attached."""
    runc.add_files(workload_files("fill"))
    with adopted(runc, ["fill", *args], resources={"pids": {"limit": limit}}) as container:
        container.wait_journal("ready")
        with Zomtrace("-c", container.id, "--min-zombie", "60") as trace:
            trace.wait_attached()
            trace.wait_line(lambda line: reading(line) is not None, "a first reading")
            yield container, trace


def reading(line: Json, depth: int = 0) -> Json | None:
    """The innermost level of a reading of the pids controller."""
    if line["kind"] != "observation" or line["values"].get("controller") != "pids":
        return None
    level: Json = line["values"]["levels"][depth]
    return level


def fill_up(container: AdoptedContainer, trace: Zomtrace) -> None:
    """Have it go on, and wait until a reading shows the refusal."""
    os.kill(container.pid, signal.SIGUSR1)
    wait_for(lambda: sum(line[0] == "ready" for line in container.journal) == 2, "second round")
    trace.wait_line(
        lambda line: bool((level := reading(line)) and level["refused"]), "the refusal is read"
    )


def end(container: AdoptedContainer, trace: Zomtrace) -> None:
    """Stop the container."""
    os.kill(container.pid, signal.SIGTERM)
    container.reap()


def test_zombies_fill_the_limit_until_a_fork_fails(runc: Runc) -> None:
    with filling(runc, "17", "4", limit=31) as (container, trace):
        fill_up(container, trace)
        end(container, trace)
        result = trace.finish()
    told = [int(line[1]) for line in container.journal if line[0] == "zombies"]
    # PID 1, four that pause, the rest zombies.
    assert told == [17, 31 - 1 - 4 - 17]
    assert ["refused", "11"] in container.journal
    near = result.finding("ZT301")
    assert near["title"].endswith("had 31 of its 31 pids in use")
    assert "26 zombies made up 84% of it, children of fill (pid 1" in near["detail"]
    assert "It was full: 1 fork refused." in near["detail"]
    zombies = {one["host_pid"] for one in result.processes(end="exit", is_init=False)}
    assert set(near["host_pids"]) == zombies
    assert len(zombies) == 26
    failed = result.finding("ZT302")
    assert "fork" in failed["title"]
    assert zombies <= set(failed["host_pids"])


def test_nearly_full_tells_the_time_that_is_left(runc: Runc) -> None:
    with filling(runc, "5", "17", limit=31) as (container, trace):
        # From 23 to 28 of 31: no fork fails.
        os.kill(container.pid, signal.SIGUSR1)
        trace.wait_line(
            lambda line: bool((level := reading(line)) and level["current"] == 28), "28 pids"
        )
        end(container, trace)
        result = trace.finish()
    near = result.finding("ZT301")
    assert near["title"].endswith("had 28 of its 31 pids in use")
    assert "10 zombies made up 36% of it" in near["detail"]
    assert "at that rate it is full after another" in near["detail"]
    assert "ZT302" not in result.codes


def test_live_tasks_near_the_limit_are_not_called_zombies(runc: Runc) -> None:
    with filling(runc, "0", "25", limit=29) as (container, trace):
        end(container, trace)
        result = trace.finish()
    near = result.finding("ZT301")
    assert near["title"].endswith("had 26 of its 29 pids in use")
    assert "None of them were zombies." in near["detail"]
    assert near["host_pids"] == []
    assert "ZT302" not in result.codes


def test_room_enough_is_no_finding(runc: Runc) -> None:
    with filling(runc, "13", "4", limit=97) as (container, trace):
        end(container, trace)
        result = trace.finish()
    assert {"ZT301", "ZT302"}.isdisjoint(result.codes)
    # The limit was read all the same.
    levels = [level for line in result.lines if (level := reading(line))]
    assert {(level["current"], level["limit"]) for level in levels} == {(18, 97)}
