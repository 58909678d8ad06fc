"""ZT301 and ZT302: a pids limit filled by zombies, by live tasks, and not filled."""

from __future__ import annotations

import os
import signal

import pytest

from tests.support.filling import end, fill_up, filling, reading
from tests.support.runc import Runc

pytestmark = pytest.mark.live


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
    assert "26 zombies made up 84% of them, children of fill (pid 1" in near["detail"]
    assert "The limit was reached: 1 fork refused." in near["detail"]
    zombies = {one["host_pid"] for one in result.processes(end="exit", is_init=False)}
    assert set(near["host_pids"]) == zombies
    assert len(zombies) == 26
    failed = result.finding("ZT302")
    assert "fork" in failed["title"]
    assert zombies <= set(failed["host_pids"])


def test_nearly_full_shows_the_time_that_is_left(runc: Runc) -> None:
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
    assert "10 zombies made up 36% of them" in near["detail"]
    assert "at that rate the limit is reached after another" in near["detail"]
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
    read = {(level["current"], level["limit"]) for level in levels}
    # The last reading may come after the last process.
    assert read - {(0, 97)} == {(18, 97)}
