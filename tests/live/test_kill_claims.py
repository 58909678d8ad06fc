"""Who ended whom, said right and not of its look-alike: parents, supervisors, dropped signals."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.support.at_rest import wait_at_rest
from tests.support.containers_at_work import pick
from tests.support.zomtrace_process import Result, Zomtrace, run_zomtrace

PYTHON = "/usr/bin/python3"
HELPER = """
import subprocess
try:
    subprocess.run(["sleep", "9"], timeout=0.3)
except subprocess.TimeoutExpired:
    pass
"""
ESCALATES = "timeout -k 1 0.5 sh -c 'trap \"\" TERM; while :; do sleep 0.1; done'; exit 0"
STRANGER = 'sleep 1000 & a=$!; sh -c "sleep 0.3; kill -9 $a; :"; exit 0'
OWN_143 = "import os, signal, time; signal.signal(15, lambda *a: os._exit(143)); time.sleep(30)"
ABORT = "import os, signal, time; signal.raise_signal(6); time.sleep(0.2); os._exit(0)"
HANDLED = "trap 'echo caught' HUP; kill -HUP $$; exit 0"
PASSED_OVER = """
import os, signal, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
child = os.fork()
if child == 0:
    while True:
        signal.pause()
time.sleep(0.3)
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
os.kill(child, 9)
os._exit(0)
"""


def run(*command: str) -> Result:
    return run_zomtrace("run", "--min-zombie", "60", "--", *command)


def test_a_parent_that_ends_its_helper_is_no_finding() -> None:
    result = run(PYTHON, "-c", HELPER)
    assert pick(result.process(comm="sleep"), "term_signal", "cause") == {
        "term_signal": "SIGKILL", "cause": "kill",
    }  # fmt: skip
    assert result.codes == []


def test_a_supervisor_that_escalates_is_reported_with_its_earlier_signal() -> None:
    result = run("sh", "-c", ESCALATES)
    found = [one for one in result.report["findings"] if "its own child" in one["title"]]
    assert [one["code"] for one in found] == ["ZT106"]
    assert {one["severity"] for one in result.report["findings"]} == {"info"}
    assert found[0]["title"] == "timeout killed its own child sh with SIGKILL"
    assert "timeout, its parent (host pid" in found[0]["detail"]
    # A second, and as long as a busy machine lets timeout wait for a processor.
    assert re.search(r" (\d\.\d s|9\d\d ms) after SIGTERM, which it ignores\.", found[0]["detail"])


def test_an_unrelated_process_that_kills_is_a_warning() -> None:
    found = run("sh", "-c", STRANGER).finding("ZT106")
    assert pick(found, "severity", "title") == {
        "severity": "warning", "title": "sh killed sleep with SIGKILL",
    }  # fmt: skip
    assert "its parent" not in found["detail"]


def test_143_after_a_handled_sigterm_is_not_passed_on() -> None:
    with Zomtrace("run", "--min-zombie", "60", "--", PYTHON, "-c", OWN_143) as trace:
        wait_at_rest(trace.process.pid, with_comm="python3")
        result = trace.stop_tracing()
    init = result.process(is_init=True)
    assert pick(init, "exit_code", "passed_on_host_pid", "exit_code_origin") == {
        "exit_code": 143, "passed_on_host_pid": None, "exit_code_origin": "handled_signal",
    }  # fmt: skip
    assert result.codes == []


def test_an_abort_of_pid_1_is_dropped_and_said() -> None:
    result = run(PYTHON, "-c", ABORT)
    found = result.finding("ZT110")
    assert found["severity"] == "warning"
    assert found["host_pids"] == [result.process(is_init=True)["host_pid"]]
    assert "The kernel dropped SIGABRT, sent by the process itself to python3" in found["detail"]
    assert any("SIGABRT to python3" in line["text"] for line in result.report["timeline"])


def test_a_signal_that_pid_1_handles_is_not_dropped() -> None:
    assert run("sh", "-c", HANDLED).codes == []


def test_a_traced_pid_1_drops_the_signal_all_the_same() -> None:
    inner = "sleep 0.5; kill -USR1 1; sleep 0.5; exit 0"
    script = f"strace -f -o /dev/null -p 1 2>/dev/null & sleep 1; sh -c '{inner}'; exit 0"
    found = run("sh", "-c", script).finding("ZT110")
    assert "SIGUSR1" in found["title"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a real-time scheduler")
def test_a_release_after_inits_exit_is_a_teardown_though_no_process_was_signalled(
    tmp_path: Path,
) -> None:
    script = tmp_path / "passed_over.py"
    script.write_text(PASSED_OVER)
    child = run(PYTHON, str(script)).process(is_init=False)
    assert pick(child, "term_signal", "cause", "reap_kind") == {
        "term_signal": "SIGKILL", "cause": "kill", "reap_kind": "teardown",
    }  # fmt: skip
