"""Processes that are born, renamed, replaced and nested in unusual ways."""

from __future__ import annotations

import pytest

from tests.support.containers_at_work import counts, pick
from tests.support.workloads import workload
from tests.support.zomtrace_process import Json, Result, Zomtrace, raw_status

pytestmark = pytest.mark.live

USR1 = 10


def run(*ways: str, command: list[str] | None = None) -> Result:
    """Run ``odd WAYS`` (or a command that says ready), then have it stopped."""
    argv = command or [str(workload("odd")), *ways]
    with Zomtrace("run", "-v", "--min-zombie", "60", "--", *argv) as trace:
        trace.wait_attached().wait_stderr("ready\n")
        return trace.stop_tracing()


@pytest.fixture(scope="module")
def odd() -> Result:
    """One run of those that all end by themselves."""
    return run("vfork", f"exitsig:{USR1}", "exitsig:0", "exec", "mtexec", "rename", "nested")


def outermost(result: Result) -> Json:
    """PID 1 of the command."""
    container = result.report["containers"][0]
    return result.process(host_pid=container["init_host_pid"])


def told(result: Result) -> dict[str, tuple[Json, int]]:
    """Way -> the process and its raw wait status, as PID 1 wrote it down."""
    inum = outermost(result)["pidns_inum"]
    found = {}
    for line in result.stderr.splitlines():
        if line.startswith("child "):
            _, pid, way, status = line.split()
            found[way] = (result.process(ns_pid=int(pid), pidns_inum=inum), int(status))
    return found


def test_every_status_is_as_waitpid_returned_it(odd: Result) -> None:
    found = told(odd)
    assert {way: status for way, (_, status) in found.items()} == {
        "vfork": 21 << 8, f"exitsig:{USR1}": 22 << 8, "exitsig:0": 22 << 8, "exec": 23 << 8,
        "mtexec": 24 << 8, "rename": 9, "nested": 25 << 8,
    }  # fmt: skip
    for process, status in found.values():
        assert raw_status(process) == status
        assert pick(process, "reap_kind", "reaper_host_pid") == {
            "reap_kind": "parent", "reaper_host_pid": outermost(odd)["host_pid"],
        }  # fmt: skip


def test_names_are_the_last_ones(odd: Result) -> None:
    found = told(odd)
    assert {way: process["comm"] for way, (process, _) in found.items()} == {
        "vfork": "exe", f"exitsig:{USR1}": "odd", "exitsig:0": "odd", "exec": "exe",
        "mtexec": "exe", "rename": "renamed", "nested": "odd",
    }  # fmt: skip


def test_a_thread_that_execs_takes_the_leaders_place(odd: Result) -> None:
    process, _ = told(odd)["mtexec"]
    assert len(odd.of_kind("exit", host_pid=process["host_pid"])) == 1
    assert len(odd.of_kind("reap", host_pid=process["host_pid"])) == 1
    assert len(odd.of_kind("exec", host_pid=process["host_pid"])) == 1


def test_nested_namespace_is_torn_down_by_its_own_init(odd: Result) -> None:
    (inner,) = [
        one for one in odd.processes(is_init=True) if one["host_pid"] != outermost(odd)["host_pid"]
    ]
    assert pick(inner, "ns_pid", "exit_code") == {"ns_pid": 1, "exit_code": 25}
    left = [one for one in odd.processes(pidns_inum=inner["pidns_inum"]) if one != inner]
    assert len(left) == 2
    for process in left:
        assert pick(process, "term_signal", "cause", "trigger_host_pid", "reap_kind") == {
            "term_signal": "SIGKILL", "cause": "pidns_teardown",
            "trigger_host_pid": inner["host_pid"], "reap_kind": "teardown",
        }  # fmt: skip
    stops = {stop["pidns_inum"]: stop for stop in odd.report["stops"]}
    assert pick(stops[inner["pidns_inum"]], "trigger", "init_exit_code") == {
        "trigger": "init_exit", "init_exit_code": 25,
    }  # fmt: skip
    assert counts(stops[inner["pidns_inum"]]) == {"members": 2, "sigkilled": 2}
    assert counts(stops[outermost(odd)["pidns_inum"]]) == {}


def test_nested_namespace_goes_with_the_outer_one() -> None:
    result = run("outlives")
    init = outermost(result)
    others = [one for one in result.report["processes"] if one != init]
    # The one that unshared, its namespace's init, and two more in there.
    assert len(others) == 4
    assert {one["cause"] for one in others} == {"pidns_teardown"}
    stops = {stop["pidns_inum"]: stop for stop in result.report["stops"]}
    assert counts(stops[init["pidns_inum"]]) == {"members": 4, "sigkilled": 4}
    (inner,) = [one for one in others if one["is_init"]]
    assert inner["trigger_host_pid"] == init["host_pid"]
    assert counts(stops[inner["pidns_inum"]]) == {"members": 2, "sigkilled": 2}


def test_supervisor_that_forwards_and_then_kills() -> None:
    result = run("supervise")
    init = outermost(result)
    obedient, deaf = (told(result)[name][0] for name in ("obedient", "deaf"))
    assert pick(obedient, "comm", "term_signal", "cause", "sender_host_pid") == {
        "comm": "obedient", "term_signal": "SIGTERM", "cause": "stop_signal",
        "sender_host_pid": init["host_pid"],
    }  # fmt: skip
    assert pick(
        deaf, "comm", "term_signal", "cause", "sender_host_pid", "stop_signal_seen",
        "stop_signal_disposition",
    ) == {
        "comm": "deaf", "term_signal": "SIGKILL", "cause": "kill",
        "sender_host_pid": init["host_pid"], "stop_signal_seen": True,
        "stop_signal_disposition": "ignored",
    }  # fmt: skip
    assert counts(result.stop) == {"members": 2, "signalled": 1, "sigkilled": 1}
    assert {"ZT101", "ZT102", "ZT103"}.isdisjoint(result.codes)


def test_shell_script_as_init_that_forwards() -> None:
    script = (
        "sleep 1000 & a=$!; sleep 1000 & b=$!; "
        "trap 'kill -TERM $a $b; wait; exit 0' TERM; echo ready; wait"
    )
    result = run(command=["sh", "-c", script])
    assert counts(result.stop) == {"members": 2, "signalled": 2}
    assert result.stop["init_exit_code"] == 0
    assert [one["cause"] for one in result.processes(comm="sleep")] == ["stop_signal"] * 2
    assert result.codes == []


def test_shell_that_passes_on_its_childs_death_as_an_exit_code() -> None:
    script = "sh -c 'kill -KILL $$'; echo $?; echo ready; sleep 1000 & wait"
    with Zomtrace("run", "--grace", "0.2", "--", "sh", "-c", f"({script}); exit") as trace:
        trace.wait_attached().wait_stderr("137\nready\n")
        result = trace.stop_tracing()
    (killed,) = [one for one in result.processes(term_signal="SIGKILL") if one["cause"] == "self"]
    assert killed["comm"] == "sh"
    # The shells around it lived on: no 137 of theirs is a death.
    assert not result.processes(exit_code=137)


@pytest.mark.parametrize(("signal", "code"), [("KILL", 137), ("TERM", 143)])
def test_an_exit_code_names_the_child_it_passes_on(signal: str, code: int) -> None:
    dying = f"sh -c 'kill -{signal} $$'; exit $?"
    # The same code without a child that died so; and with one that died of another signal.
    plain, other = f"exit {code}", f"sh -c 'kill -USR2 $$'; exit {code}"
    script = "; ".join(f'sh -c "{one}"' for one in (
        dying.replace("$", "\\$"), plain, other.replace("$", "\\$")
    ))  # fmt: skip
    with Zomtrace("run", "--grace", "0.2", "--", "sh", "-c",
                  f"{script}; echo ready; exec sleep 1000") as trace:  # fmt: skip
        trace.wait_attached().wait_stderr("ready\n")
        result = trace.stop_tracing()
    (child,) = result.processes(term_signal=f"SIG{signal}", cause="self")
    passers = result.processes(exit_code=code)
    assert [(one["end"], one["term_signal"], one["cause"]) for one in passers] == [
        ("exit", None, None)
    ] * 3
    assert [one["passed_on_host_pid"] for one in passers] == [child["host_pid"], None, None]
    named = [
        line["text"]
        for line in result.report["timeline"]
        if f"exited with code {code} (128 + {code - 128}: " in line["text"]
    ]
    assert len(named) == 1
    assert f"died of SIG{signal}" in named[0]
