"""The kernel's SIGKILL to what is left of a namespace, told from what looks like it."""

from __future__ import annotations

import os
import signal

import pytest

from tests.support.containers_at_work import counts, pick
from tests.support.workloads import workload
from tests.support.zomtrace_process import Json, Result, Zomtrace

pytestmark = pytest.mark.live


def run(mode: str) -> Result:
    """Run ``lastly MODE`` and have it stopped."""
    with Zomtrace("run", "--min-zombie", "60", "--", workload("lastly"), mode) as trace:
        trace.wait_attached().wait_stderr("ready\n")
        return trace.stop_tracing()


def roles(result: Result) -> dict[str, list[Json]]:
    """The children by the role the workload gave them."""
    told: dict[str, list[Json]] = {}
    for line in result.stderr.splitlines():
        if line.startswith("child "):
            _, pid, role = line.split()
            told.setdefault(role, []).append(result.process(ns_pid=int(pid)))
    return told


def test_init_killed_in_its_sleep() -> None:
    with Zomtrace("run", "--min-zombie", "60", "--", workload("lastly"), "sleeping") as trace:
        trace.wait_attached().wait_stderr("ready\n")
        init = trace.wait_event("exec", comm="lastly")["host_pid"]
        os.kill(init, signal.SIGKILL)
        result = trace.finish()
    # Its last system call is the sleep: no evidence of who sent the SIGKILLs.
    for child in roles(result)["left"]:
        assert pick(
            child, "term_signal", "cause", "sender_comm", "sender_syscall", "trigger_host_pid",
            "reap_kind",
        ) == {
            "term_signal": "SIGKILL", "cause": "pidns_teardown", "sender_comm": None,
            "sender_syscall": None, "trigger_host_pid": init, "reap_kind": "teardown",
        }  # fmt: skip
    assert result.stop["init_cause"] == "kill"
    assert counts(result.stop) == {"members": 2, "sigkilled": 2}


def test_child_that_was_dying_already() -> None:
    result = run("dying")
    (dying,), (tracer,) = roles(result)["dying"], roles(result)["tracer"]
    assert pick(dying, "term_signal", "cause", "sender_host_pid") == {
        "term_signal": "SIGTERM", "cause": "kill", "sender_host_pid": tracer["host_pid"],
    }  # fmt: skip
    assert tracer["cause"] == "pidns_teardown"
    assert counts(result.stop) == {"members": 2, "sigkilled": 1, "signalled": 1}


def test_init_that_kills_everybody_itself() -> None:
    result = run("everybody")
    init = result.process(is_init=True)["host_pid"]
    killed = roles(result)["killed"]
    assert len(killed) == 5
    for child in killed:
        assert pick(child, "term_signal", "cause", "sender_host_pid", "sender_syscall") == {
            "term_signal": "SIGKILL", "cause": "kill", "sender_host_pid": init,
            "sender_syscall": "kill",
        }  # fmt: skip
    assert "ZT102" not in result.codes


def test_parent_death_signal_inside_a_teardown() -> None:
    result = run("pdeath")
    # The orphan's parent died of the teardown, and so did the orphan: at once.
    for role in ("parent", "orphan"):
        (child,) = roles(result)[role]
        assert pick(child, "term_signal", "cause") == {
            "term_signal": "SIGKILL", "cause": "pidns_teardown",
        }, role  # fmt: skip


def test_init_that_is_a_tracer_too() -> None:
    result = run("exitkill")
    init = result.process(is_init=True)["host_pid"]
    (traced,), (left,) = roles(result)["traced"], roles(result)["left"]
    # exit_ptrace comes before zap_pid_ns_processes, both in init's exit.
    assert pick(traced, "cause", "trigger_host_pid") == {
        "cause": "tracer_exit", "trigger_host_pid": init
    }  # fmt: skip
    assert pick(left, "cause", "trigger_host_pid") == {
        "cause": "pidns_teardown", "trigger_host_pid": init
    }  # fmt: skip


def test_child_that_had_ignored_sigterm_is_killed_by_the_teardown() -> None:
    result = run("unseen")
    (deaf,) = roles(result)["deaf"]
    assert pick(deaf, "term_signal", "cause", "stop_signal_seen") == {
        "term_signal": "SIGKILL", "cause": "pidns_teardown", "stop_signal_seen": False,
    }  # fmt: skip
