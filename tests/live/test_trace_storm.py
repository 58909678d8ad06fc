"""A target that forks as fast as the machine can."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.support.exit_oracle import ExitOracle
from tests.support.waiting import wait_for
from tests.support.workloads import workload
from tests.support.zomtrace_process import Result, Zomtrace

pytestmark = pytest.mark.alone


def stormed(result: Result) -> int:
    """How many processes the storm says it made."""
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("storm ")]
    return int(line.split()[1])


def test_every_process_of_a_storm_is_reported() -> None:
    with (
        ExitOracle() as oracle,
        Zomtrace("run", "--grace", "60", "--", workload("storm"), "3") as trace,
    ):
        trace.wait_stderr("ready\n")
        wait_for(lambda: len(oracle.exits) > 1_000, "some of a storm")
        result = trace.interrupt().finish(within_s=90)
        told = oracle.statuses()
    number = stormed(result)
    assert number > 100
    assert result.report["lost"] == {}
    init = result.process(is_init=True)
    forks, exits = result.of_kind("fork"), result.of_kind("exit")
    # Half of them are killed; the other half is ordinary, and one line each.
    folded = result.ends()
    assert len(forks) + len(folded) == number
    assert (len(exits), len(result.reaps())) == (number + 1, number + 1)
    assert len(folded) > number // 3
    assert result.fates(is_init=False) == Counter(
        {("exit", None): number - number // 2, ("signal", "self"): number // 2}
    )
    assert {one["reaper_host_pid"] for one in result.processes(is_init=False)} == {init["host_pid"]}
    if number < 30_000:
        # No host pid came twice: each can be looked up.
        assert result.statuses() == {pid: told[pid] for pid in result.statuses()}


def test_a_storm_keeps_no_one_from_ending_the_trace() -> None:
    with Zomtrace("run", "--grace", "60", "--", workload("storm"), "31", json_lines=False) as trace:
        trace.wait_stderr("ready\n")
        trace.interrupt()
        result = trace.finish(within_s=90)
    assert "Traceback" not in result.stderr
    assert stormed(result) > 0
