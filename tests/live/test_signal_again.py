"""Programs that end themselves by the signal they were sent, as PID 1 and not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.require import require_program
from tests.support.zomtrace_process import Result, run_zomtrace

pytestmark = pytest.mark.live

AGAIN = "trap - TERM; kill -TERM $$"
LOOP = 'trap "{trap}" TERM; while :; do sleep 0.1; done'
SLOW = """
import signal, sys, time
signal.signal(15, lambda *_: (time.sleep(1), sys.exit(0)))
while True: time.sleep(1)
"""
PARENT = """
import subprocess, sys
subprocess.call(["sh", "-c", sys.argv[1]])
"""


def stopped(*argv: str | Path, init: bool = False, grace: float = 60) -> Result:
    """Run something and stop it."""
    options = ["--init"] if init else []
    return run_zomtrace("run", *options, "--stop-after", "1.5", "--grace", str(grace), "--", *argv)


@pytest.mark.parametrize("init", [False, True])
def test_su_as_pid_1_handled_the_signal_though_its_own_was_dropped(init: bool) -> None:
    su = require_program("util-linux", "su")
    result = stopped(su, "-s", "/bin/sh", "root", "-c", "exec sleep 1000", init=init)
    assert "had no effect" not in result.report["headline"]
    assert {one["severity"] for one in result.report["findings"]} <= {"info"}
    assert ("ZT110" in result.codes) is not init
    if not init:
        found = result.finding("ZT110")
        assert found["title"] == "su raised SIGTERM again, which has no effect in PID 1"
        assert "exited with code 143" in found["detail"]


def test_a_trap_that_sends_the_signal_again_ends_no_pid_1() -> None:
    result = stopped("bash", "-c", LOOP.format(trap=AGAIN), grace=3)
    assert "`exit 143`" in result.finding("ZT103")["advice"]
    assert result.finding("ZT110")["detail"].endswith("bash kept running.")
    # The advice, followed: either of the two.
    assert stopped("bash", "-c", LOOP.format(trap="exit 143")).codes == []
    assert "ZT110" not in stopped("bash", "-c", LOOP.format(trap=AGAIN), init=True).codes


def test_a_shell_between_a_program_and_who_waits_for_it(tmp_path: Path) -> None:
    tini = require_program("tini", "tini")
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "parent.py").write_text(PARENT)
    started = "/usr/bin/python3", tmp_path / "parent.py"
    line = f"/usr/bin/python3 {tmp_path}/slow.py"
    # The whole group is told; the shell dies of it, and the program behind it is cut off.
    result = stopped(tini, "-g", "--", *started, f"{line}; :")
    advice = result.finding("ZT108")["advice"]
    assert "with `exec`" in advice
    assert "trap" not in advice
    # To have it told by a signal to the group is no advice for the same program without tini.
    alone = stopped(tini, "--", "sh", "-c", f"{line}; :").finding("ZT102")
    assert "`exec`" in alone["advice"]
    assert "`tini -g`" not in alone["advice"]
    # With exec, the one that is waited for is the program itself.
    assert stopped(tini, "--", "sh", "-c", f"exec {line}").codes == []
