"""Stops in which nothing is wrong, though each looks like one in which something is."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from tests.support.containers_at_work import counts, pick
from tests.support.workloads import workload
from tests.support.zomtrace_process import Json, Result, Zomtrace, raw_status

pytestmark = pytest.mark.live

CHILDREN = 5


def run(mode: str, meanwhile: Callable[[Zomtrace, int], None] | None = None) -> Result:
    """Run ``innocent MODE``, then have it stopped unless that is done meanwhile."""
    with Zomtrace("run", "--min-zombie", "60", "--grace", "60", "--",
                  workload("innocent"), mode, str(CHILDREN)) as trace:  # fmt: skip
        trace.wait_attached().wait_stderr("ready\n")
        if meanwhile is not None:
            meanwhile(trace, trace.wait_event("exec", comm="innocent")["host_pid"])
        return trace.stop_tracing() if mode != "twice" else trace.finish()


def told(result: Result) -> dict[int, int]:
    """Pid -> raw wait status, as PID 1 had it from waitpid."""
    lines = [line.split() for line in result.stderr.splitlines()]
    return {int(pid): int(status) for word, pid, status in (
        line for line in lines if len(line) == 3) if word == "waited"}  # fmt: skip


def children(result: Result) -> list[Json]:
    """What the report says of them; checked against what PID 1 wrote down."""
    statuses = told(result)
    found = result.processes(is_init=False)
    assert {one["ns_pid"]: raw_status(one) for one in found} == statuses
    assert {one["reap_kind"] for one in found} == {"parent"}
    return found


def check_stop(result: Result, **expected: int) -> None:
    """What holds for all: one orderly stop, nobody to blame."""
    assert pick(
        result.stop, "trigger", "stop_signal", "escalated", "outcome", "init_exit_code"
    ) == {
        "trigger": "stop_signal", "stop_signal": "SIGTERM", "escalated": False,
        "outcome": "stopped", "init_exit_code": 0,
    }  # fmt: skip
    assert counts(result.stop) == expected
    assert result.codes == []


def test_a_stop_with_two_sigterms_is_one_stop() -> None:
    def stop_twice(trace: Zomtrace, init: int) -> None:
        os.kill(init, signal.SIGTERM)
        trace.wait_stderr("term 1\n")
        os.kill(init, signal.SIGTERM)

    result = run("twice", stop_twice)
    init = result.process(is_init=True)
    sent = result.of_kind("signal", host_pid=init["host_pid"], signal="SIGTERM")
    assert [one["sender_host_pid"] for one in sent] == [os.getpid()] * 2
    for child in children(result):
        assert pick(child, "term_signal", "cause", "sender_host_pid") == {
            "term_signal": "SIGTERM", "cause": "stop_signal",
            "sender_host_pid": init["host_pid"],
        }  # fmt: skip
    check_stop(result, members=CHILDREN, signalled=CHILDREN)
    # From the first one to its end.
    assert result.stop["begin_boot_ns"] == sent[0]["boot_ns"]
    ended = result.of_kind("exit", host_pid=init["host_pid"])[0]["boot_ns"]
    assert result.stop["grace_ns"] == ended - sent[0]["boot_ns"]


def test_an_init_that_waits_for_the_signal_has_no_handler_and_needs_none() -> None:
    result = run("sigwait")
    assert result.stop["stop_signal_disposition"] == "blocked"
    assert result.stop["stop_signal_result"] == "delivered"
    assert not result.of_kind("deliver", host_pid=result.stop["init_host_pid"], signal="SIGTERM")
    assert {one["cause"] for one in children(result)} == {"stop_signal"}
    check_stop(result, members=CHILDREN, signalled=CHILDREN)


def test_a_signal_passed_on_as_another_was_passed_on() -> None:
    result = run("quit")
    for child in children(result):
        assert pick(child, "term_signal", "sender_comm", "stop_signal_seen") == {
            "term_signal": "SIGQUIT", "sender_comm": "innocent", "stop_signal_seen": False,
        }  # fmt: skip
    check_stop(result, members=CHILDREN, signalled=CHILDREN)


@pytest.mark.parametrize("mode", ["pipe", "leave"])
def test_children_that_leave_need_no_signal(mode: str) -> None:
    result = run(mode)
    for child in children(result):
        assert pick(child, "end", "exit_code", "stop_signal_seen", "cause") == {
            "end": "exit", "exit_code": 0, "stop_signal_seen": False, "cause": None,
        }  # fmt: skip
    check_stop(result, members=CHILDREN, exited=CHILDREN)


def test_a_reload_is_no_stop_and_whom_it_ends_was_not_killed() -> None:
    def reload(trace: Zomtrace, init: int) -> None:
        os.kill(init, signal.SIGHUP)
        trace.wait_stderr("reloaded\n")

    result = run("reload", reload)
    everybody = children(result)
    assert len(everybody) == 2 * CHILDREN
    assert {(one["end"], one["exit_code"]) for one in everybody} == {("exit", 0)}
    old = [one for one in everybody if not one["stop_signal_seen"]]
    assert len(old) == CHILDREN
    begin_ns = result.stop["begin_boot_ns"]
    assert all(one["end_boot_ns"] < begin_ns for one in old)
    # Only who was there counts; the old ones are gone and reaped.
    check_stop(result, members=CHILDREN, exited=CHILDREN)
