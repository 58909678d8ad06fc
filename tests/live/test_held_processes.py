"""Processes that cannot act: paused, stopped, held by a tracer. It is said as such."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.adopted import AdoptedContainer, adopted
from tests.support.containers_at_work import counts, pick
from tests.support.kernel_objects import children
from tests.support.runc import Runc
from tests.support.waiting import wait_for
from tests.support.workloads import workload, workload_files
from tests.support.zomtrace_process import Json, Result, Zomtrace

pytestmark = pytest.mark.live


@pytest.fixture
def runtime(runc: Runc) -> Runc:
    """runc, with the workloads in its root file system."""
    runc.add_files(workload_files("family"))
    return runc


@contextmanager
def traced(runtime: Runc, *args: str) -> Iterator[tuple[AdoptedContainer, Zomtrace]]:
    """A container at work, and zomtrace on it, attached."""
    with adopted(runtime, args) as container:
        container.wait_journal("ready")
        with Zomtrace("-c", container.id, "--min-zombie", "0.3") as trace:
            yield container, trace.wait_attached()


@contextmanager
def held(pid: int, how: str) -> Iterator[int]:
    """A process of the container in the hands of a tracer; the tracer's pid."""
    with subprocess.Popen(
        [workload("hold"), str(pid), how], stdout=subprocess.PIPE, text=True
    ) as tracer:
        assert tracer.stdout is not None
        try:
            assert tracer.stdout.readline() == f"held {pid}\n"
            yield tracer.pid
        finally:
            tracer.terminate()


def stop_in_vain(container: AdoptedContainer, trace: Zomtrace) -> Json:
    """Send SIGTERM, and wait until it was read what init does instead of ending."""
    os.kill(container.pid, signal.SIGTERM)
    reading = trace.wait_line(
        lambda line: line["kind"] == "observation" and line["values"].get("reading") == "init",
        "a reading of init",
    )
    assert reading["host_pid"] == container.pid
    os.kill(container.pid, signal.SIGKILL)
    return dict(reading["values"])


def check(result: Result, why: str) -> None:
    """What holds for all three: the grace ran out, and why init did not end."""
    assert pick(
        result.stop, "stop_signal_result", "stop_signal_disposition", "escalated", "init_cause"
    ) == {
        "stop_signal_result": "delivered", "stop_signal_disposition": "caught",
        "escalated": True, "init_cause": "grace_expired",
    }  # fmt: skip
    assert counts(result.stop) == {"members": 2, "sigkilled": 2}
    assert result.codes == ["ZT103"]
    assert why in result.finding("ZT103")["detail"]
    assert "before stopping it" in result.finding("ZT103")["advice"]


def test_a_paused_container_gets_no_signal(runtime: Runc) -> None:
    with traced(runtime, "family", "0", "2", "exit") as (container, trace):
        runtime.cli("pause", container.id)
        try:
            values = stop_in_vain(container, trace)
        finally:
            runtime.cli("resume", container.id)
        assert container.reap() == signal.SIGKILL
        result = trace.finish()
    assert values["is_frozen"] is True
    check(result, "it was paused (its cgroup was frozen), and a paused process handles no signal")


def test_an_init_that_a_tracer_has_stopped(runtime: Runc) -> None:
    with traced(runtime, "family", "0", "2", "exit") as (container, trace):
        with held(container.pid, "stop") as tracer:
            values = stop_in_vain(container, trace)
        assert container.reap() == signal.SIGKILL
        result = trace.finish()
    assert pick(values, "state", "tracer") == {
        "state": "t", "tracer": {"host_pid": tracer, "comm": "hold"}
    }  # fmt: skip
    check(result, f"a tracer, hold (host pid {tracer}), had stopped it")


def test_an_init_that_was_sent_sigstop(runtime: Runc) -> None:
    with traced(runtime, "family", "0", "2", "exit") as (container, trace):
        os.kill(container.pid, signal.SIGSTOP)
        wait_for(lambda: _state(container.pid) == "T", "it is stopped")
        values = stop_in_vain(container, trace)
        assert container.reap() == signal.SIGKILL
        result = trace.finish()
    assert pick(values, "state", "is_frozen", "tracer") == {
        "state": "T", "is_frozen": False, "tracer": None
    }  # fmt: skip
    check(result, "it was stopped (SIGSTOP), and a stopped process handles no signal but SIGKILL")


def test_an_init_that_is_merely_slow_is_not_called_held(runtime: Runc) -> None:
    with traced(runtime, "family", "0", "2", "hang") as (container, trace):
        values = stop_in_vain(container, trace)
        assert container.reap() == signal.SIGKILL
        result = trace.finish()
    assert pick(values, "state", "is_frozen", "tracer") == {
        "state": "S", "is_frozen": False, "tracer": None
    }  # fmt: skip
    assert "its SIGTERM handler had not terminated it" in result.finding("ZT103")["detail"]


def test_a_zombie_its_tracer_has_not_waited_for(runtime: Runc) -> None:
    with traced(runtime, "family", "0", "1", "exit") as (container, trace):
        (child,) = children(container.pid)
        with held(child, "run") as tracer:
            os.kill(child, signal.SIGKILL)
            trace.wait_event("exit", host_pid=child)
            trace.wait_line(
                lambda line: line["kind"] == "observation" and line["host_pid"] == tracer,
                "the tracer is read: it is to blame",
            )
            result = trace.stop_tracing()
    (zombie,) = result.report["zombies"]
    assert pick(zombie, "host_pid", "reaped", "tracer_host_pid", "parent_host_pid") == {
        "host_pid": child, "reaped": False, "tracer_host_pid": tracer,
        "parent_host_pid": container.pid,
    }  # fmt: skip
    finding = result.finding("ZT201")
    assert finding["title"] == "hold traces 1 zombie and has not waited for it"
    assert f"hold (host pid {tracer}) traces" in finding["detail"]
    assert result.process(host_pid=child)["end"] == "signal"


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


NESTING = """
import ctypes, os, signal
CLONE_NEWPID = 0x20000000
assert ctypes.CDLL(None).unshare(CLONE_NEWPID) == 0
inner = os.fork()
if inner == 0:
    os._exit(os.getpid() + 6)
os.waitid(os.P_PID, inner, os.WEXITED | os.WNOWAIT)
os.write(2, f"inner {inner}\\nready\\n".encode())
signal.pause()
"""


def test_a_zombie_whose_parent_is_in_the_outer_namespace() -> None:
    with Zomtrace(
        "run", "--min-zombie", "0.3", "--grace", "0.2", "--", sys.executable, "-c", NESTING
    ) as trace:
        trace.wait_attached().wait_stderr("ready\n")
        trace.wait_line(
            lambda line: (
                line["values"].get("reading") == "parent"
                if line["kind"] == "observation"
                else False
            ),
            "its parent is read",
        )
        result = trace.stop_tracing()
    (told,) = [line.split()[1] for line in result.stderr.splitlines() if line.startswith("inner")]
    (outer,) = result.processes(is_init=True, end="signal")
    (inner,) = result.processes(is_init=True, end="exit")
    assert inner["pidns_inum"] != outer["pidns_inum"]
    # PID 1 in its own namespace; what its parent calls it is another number.
    assert pick(inner, "ns_pid", "exit_code", "reap_kind") == {
        "ns_pid": 1, "exit_code": 7, "reap_kind": "teardown",
    }  # fmt: skip
    assert told != "1"
    (zombie,) = result.report["zombies"]
    assert pick(zombie, "host_pid", "ns_pid", "parent_host_pid", "injected", "reap_kind") == {
        "host_pid": inner["host_pid"], "ns_pid": 1, "parent_host_pid": outer["host_pid"],
        "injected": False, "reap_kind": "teardown",
    }  # fmt: skip
    stops = {stop["init_host_pid"]: stop for stop in result.report["stops"]}
    assert counts(stops[outer["host_pid"]]) == {"members": 1, "already_zombie": 1}
    assert set(result.finding("ZT201")["host_pids"]) == {outer["host_pid"], inner["host_pid"]}
