"""A machine that was booted 200 s ago: where somebody new to the project runs the tests."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.require import require_program

ROOT = Path(__file__).parents[2]
UPTIME_S = 200
# Those that meet the machine's own clock, by a trace, a reading of /proc or an age. (All of
# them, once in a while: see README.md.)
TESTS = (
    "tests/replay/test_trace_intake.py",
    "tests/replay/test_capture_replay.py",
    "tests/unit/procfs",
)


def just_booted() -> list[str]:
    """What runs a command with the boot clock of a machine that was booted a while ago."""
    offset_s = UPTIME_S - int(time.clock_gettime(time.CLOCK_BOOTTIME))
    monotonic_s = UPTIME_S - int(time.monotonic())
    unshare = require_program("unshare", "unshare")
    return [
        str(unshare), "--fork", "--time", f"--boottime={offset_s}", f"--monotonic={monotonic_s}",
    ]  # fmt: skip


def has_time_namespaces() -> bool:
    """Whether this kernel lets us have a clock of our own (5.6, CONFIG_TIME_NS)."""
    return os.path.exists("/proc/self/ns/time")


pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not has_time_namespaces(), reason="this kernel has no time namespaces"),
]


def test_the_clock_is_that_of_a_fresh_boot() -> None:
    code = "import time; print(int(time.clock_gettime(time.CLOCK_BOOTTIME)), int(time.monotonic()))"
    done = subprocess.run(
        [*just_booted(), sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    for clock_s in done.stdout.split():
        assert UPTIME_S <= int(clock_s) < UPTIME_S + 60


@pytest.mark.timeout(600)
def test_tests_that_meet_the_clock_pass_on_a_fresh_machine() -> None:
    command = [sys.executable, "-m", "pytest", *TESTS, "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*just_booted(), *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "ZOMTRACE_REQUIRE": ""},
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
