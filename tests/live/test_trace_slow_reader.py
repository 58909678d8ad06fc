"""A reader that takes its time costs no event: what it has no room for waits here."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.exit_oracle import ExitOracle
from tests.support.noise import storm
from tests.support.require import require_root
from tests.support.waiting import wait_for
from tests.support.workloads import workload
from tests.support.zomtrace_process import zomtrace_command

pytestmark = pytest.mark.alone

_MORE_THAN_THE_RING = 15_000
"""Lives, of five records each, where the ring takes 59,000 records."""


def test_a_report_waits_for_its_reader_when_the_trace_is_over(tmp_path: Path) -> None:
    written = tmp_path / "report.json"
    reading, writing = os.pipe()
    with open(reading, "rb") as reader, subprocess.Popen(
        [
            *zomtrace_command(), "run", "--json", "--report", written, "--stop-after", "0.2", "--",
            workload("family"), "0", "300", "exit",
        ],
        stdout=writing,
        stderr=subprocess.DEVNULL,
    ) as trace:  # fmt: skip
        try:
            for text in reader:
                line = json.loads(text)
                if line["kind"] == "reap" and line["ns_pid"] == 1:
                    break
            poll = select.poll()
            poll.register(writing, select.POLLOUT)
            wait_for(lambda: not poll.poll(0), "the report waits for its reader", within_s=60)
            os.close(writing)
            lines = reader.read().splitlines()
            assert trace.wait() == 0
        finally:
            trace.kill()
    assert json.loads(lines[-1]) == json.loads(written.read_text()) | {"kind": "report"}
    assert len(lines[-1]) > 1 << 16


def test_what_a_reader_does_not_take_yet_is_not_lost() -> None:
    require_root()
    with subprocess.Popen(
        [*zomtrace_command(), "--all", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as trace:
        try:
            assert trace.stdout is not None
            assert trace.stderr is not None
            while "press Ctrl-C to stop" not in trace.stderr.readline():
                assert trace.poll() is None
            # Not a line of its output is read while the storm blows.
            with ExitOracle() as oracle, storm() as storming:
                wait_for(
                    lambda: len(oracle.exits) > _MORE_THAN_THE_RING, "enough of a storm",
                    within_s=60,
                )  # fmt: skip
                # And the storm's own.
                number = storming.end() + 1
            told, is_ended = 0, False
            for text in trace.stdout:
                line = json.loads(text)
                told += line["kind"] == "exit" and line["comm"] == "storm"
                if not is_ended and (told == number or line["kind"] == "loss"):
                    is_ended = True
                    trace.send_signal(signal.SIGINT)
            assert trace.wait() == 0
        finally:
            trace.kill()
    assert line["kind"] == "report"
    assert line["lost"] == {}
    assert told == number
