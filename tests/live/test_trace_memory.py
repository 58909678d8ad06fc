"""A trace's memory has a bound, however long it runs and whatever comes and goes.

Run by itself it is a long form of the same: ``python -m tests.live.test_trace_memory
--seconds 1200 --processes 200 --namespaces 1``, with ``record`` for a recorder.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.require import require
from tests.support.workloads import workload
from tests.support.zomtrace_process import zomtrace_command

pytestmark = pytest.mark.alone

SECONDS = 80
PROCESSES = 1_500
NAMESPACES = 12
"""A second: in 80 s as many as the long form makes in ten minutes."""
FLAT_KB = 6_000
"""The promise is 3 MB in ten minutes; here things go by ten times as fast."""
_LOOK_S = 2.0


def resident_kb(pid: int) -> int:
    """What a process has in memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise ProcessLookupError(pid)


def measure(
    arguments: list[str], directory: Path, *, processes: float, namespaces: float, seconds: int
) -> Iterator[tuple[float, int]]:
    """Trace while things come and go; give seconds and resident KB."""
    log = directory / "stderr"
    with log.open("w") as stderr, (directory / "stdout").open("w") as stdout:
        tracer = subprocess.Popen([*zomtrace_command(), *arguments], stdout=stdout, stderr=stderr)
    try:
        deadline = time.monotonic() + 30
        while "Ctrl-C to stop" not in log.read_text():
            assert tracer.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "not attached"
            time.sleep(0.05)
        churn = subprocess.Popen([workload("churn"), str(processes), str(namespaces), str(seconds)])
        began = time.monotonic()
        try:
            while churn.poll() is None:
                time.sleep(_LOOK_S)
                yield time.monotonic() - began, resident_kb(tracer.pid)
            assert churn.returncode == 0
        finally:
            churn.kill()
            churn.wait()
    finally:
        tracer.terminate()
        tracer.wait(60)
    assert tracer.returncode == 0, log.read_text()


def growth_kb(series: list[tuple[float, int]]) -> int:
    """How much more there is at the end than at half time.

    The least of a while each: records that wait to be worked off are no growth.
    """
    until = series[-1][0]
    middle = [kb for at, kb in series if 0.4 * until <= at <= 0.6 * until]
    last = [kb for at, kb in series if at >= 0.8 * until]
    return min(last) - min(middle)


def forks_of_host() -> int:
    """How many processes the host has made since it was started."""
    stat = Path("/proc/stat").read_text()
    return next(int(line.split()[1]) for line in stat.splitlines() if line.startswith("processes"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("command", ["watch", "record"])
def test_memory_is_flat_while_things_come_and_go(tmp_path: Path, command: str) -> None:
    arguments = {
        "watch": ["--all", "--report", str(tmp_path / "report.json")],
        "record": ["record", "--all", "-w", f"{tmp_path}/captures/", "--rotate", "20MB",
                   "--keep", "2"],
    }[command]  # fmt: skip
    before = forks_of_host()
    series = list(
        measure(
            arguments, tmp_path, processes=PROCESSES, namespaces=NAMESPACES, seconds=SECONDS
        )
    )  # fmt: skip
    made = (PROCESSES + 4 * NAMESPACES) * SECONDS
    others = forks_of_host() - before - made
    assert max(kb for _, kb in series) < 150_000, series
    if command == "watch":
        _check_report(tmp_path)
    # A trace of the host keeps what others do, and is kept waiting by them.
    is_quiet = others < 0.15 * made and os.getloadavg()[0] < 2.0 * (os.cpu_count() or 1)
    require("quiet", is_quiet, f"others made {others} processes, load {os.getloadavg()[0]}")
    assert growth_kb(series) < FLAT_KB, series


def _check_report(directory: Path) -> None:
    report = json.loads((directory / "report.json").read_text())
    text = (directory / "stdout").read_text()
    assert text[text.index("zomtrace: the whole host") :].count("\n") <= 200
    assert len(report["stops"]) <= 200
    assert (directory / "report.json").stat().st_size < 8_000_000
    if report["complete"]:
        told = len(report["stops"]) + report["folded"]["totals"]["stops"]
        assert told >= SECONDS * NAMESPACES


@pytest.mark.timeout(300)
def test_a_container_of_very_many_processes_makes_a_page(tmp_path: Path) -> None:
    number = 30_000
    command = f"i=0; while [ $i -lt {number} ]; do ( : ); i=$((i+1)); done"
    report_path = tmp_path / "report.json"
    with (tmp_path / "stdout").open("w") as stdout:
        done = subprocess.Popen(
            [*zomtrace_command(), "run", "--report", report_path, "--", "/bin/sh", "-c", command],
            stdout=stdout, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        highest_kb = 0
        while done.poll() is None:
            time.sleep(0.2)
            highest_kb = max(highest_kb, _resident_or_none(done.pid))
    assert done.returncode == 0
    assert highest_kb < 150_000
    text = (tmp_path / "stdout").read_text()
    assert text[text.index("zomtrace: ", 10) :].count("\n") < 60, text
    report = json.loads(report_path.read_text())
    assert report_path.stat().st_size < 2_000_000
    if report["complete"]:
        told = len(report["processes"]) + report["folded"]["totals"]["processes"]
        assert told == number + 1


def _resident_or_none(pid: int) -> int:
    try:
        return resident_kb(pid)
    except (OSError, ProcessLookupError):
        return 0


def main() -> None:
    """Print the long form's series."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=1_200)
    parser.add_argument("--processes", type=float, default=200)
    parser.add_argument("--namespaces", type=float, default=1)
    parser.add_argument("--directory", type=Path, default=Path("build/churn"))
    parser.add_argument("arguments", nargs="*", default=["--all"])
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    series = []
    for at, kb in measure(
        options.arguments, options.directory, processes=options.processes,
        namespaces=options.namespaces, seconds=options.seconds,
    ):  # fmt: skip
        series.append((at, kb))
        sys.stdout.write(f"{at:8.1f} s  {kb:8d} KB\n")
        sys.stdout.flush()
    sys.stdout.write(f"second half: {growth_kb(series):+d} KB\n")


if __name__ == "__main__":
    main()
