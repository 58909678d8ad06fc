"""A storm on a host that is traced as a whole: every death told, and once more from the capture."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.noise import storm
from tests.support.waiting import wait_for
from tests.support.zomtrace_process import Zomtrace, zomtrace_command

pytestmark = pytest.mark.alone

ENOUGH_BYTES = 500_000
"""Some four thousand lives."""


def test_every_death_in_a_storm_is_reported_live_and_the_capture_says_the_same(
    tmp_path: Path,
) -> None:
    capture, live, replayed = (tmp_path / name for name in ("all.arrows", "live", "replayed"))
    options = (
        "--all", "-w", capture, "--report", live, "--min-zombie", "5",
        # Each of the killed is to be listed.
        "--detail", "1000000",
    )  # fmt: skip
    with Zomtrace(*options, json_lines=False) as trace:
        trace.wait_stderr("press Ctrl-C to stop", within_s=60)
        with storm() as storming:
            wait_for(lambda: capture.stat().st_size > ENOUGH_BYTES, "a storm", within_s=90)
            number = storming.end()
        trace.interrupt()
        trace.finish(within_s=90)
    report = json.loads(live.read_bytes())
    assert report["lost"] == {}
    killed = [
        process
        for process in report["processes"]
        if process["comm"] == "storm" and process["term_signal"] == "SIGKILL"
    ]
    assert len(killed) == number // 2
    assert {process["cause"] for process in killed} == {"self"}
    subprocess.run(
        [*zomtrace_command(), "report", str(capture), "--report", str(replayed)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    assert json.loads(replayed.read_bytes()) == report
