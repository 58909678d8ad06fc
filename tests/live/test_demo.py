"""``zomtrace demo``: every scenario plays, and what it explains is what was seen."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.require import require_program
from tests.support.zomtrace_process import run_zomtrace, zomtrace_command
from tracer.demo.scenarios.catalogue import DEFAULT, load_scenarios

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]  # the first plays all scenarios

_AT_ONCE = 4
_NAMES = tuple(load_scenarios())
_EXPLAINED = "WHAT THE KERNEL DID AND WHY"
_ADVISED = "HOW TO FIX IT"
_FINDINGS = {
    "fwd-sig": ["ZT102"],
    "fwd-sig-init": [],
    "fwd-sig-deaf": ["ZT101", "ZT103"],
    "zombie-proc": ["ZT201"],
    "wait-styles": [],
    "orphans": ["ZT202"],
    "orphans-init": [],
    "init-b-c": ["ZT201"],
    "host-init": ["ZT201"],
    "zombie-leader": ["ZT102", "ZT203"],
    "dispositions": [],
    "wait-status": [],
}
"""What each must find, beside the kills (ZT106) and refused forks it plays."""


@dataclass(frozen=True)
class _Demo:
    status: int
    stdout: str
    stderr: str
    report: dict[str, Any]
    left: list[str]

    @property
    def explanation(self) -> str:
        """The part behind the report, on one line."""
        return " ".join(self.stdout.partition(_EXPLAINED)[2].split())


def _play(name: str) -> _Demo:
    with tempfile.TemporaryDirectory(prefix="zt-demo-") as directory:
        report = Path(directory) / "report.json"
        work = Path(directory) / "work"
        work.mkdir()
        done = subprocess.run(
            [*zomtrace_command(), "demo", name, "--utc", "--report", str(report)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, check=False,
            env={**os.environ, "TMPDIR": str(work)},
        )  # fmt: skip
        left = [path.name for path in work.iterdir()]
        told = json.loads(report.read_text()) if report.exists() else {}
    return _Demo(done.returncode, done.stdout, done.stderr, told, left)


@cache
def _demos() -> dict[str, _Demo]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(_NAMES, pool.map(_play, _NAMES), strict=True))


@pytest.fixture(params=_NAMES)
def demo(request: pytest.FixtureRequest) -> _Demo:
    """One scenario, played; all are played together, the first time."""
    if request.param in ("fwd-sig-init", "orphans-init"):
        require_program("tini", "tini", "docker-init")
    return _demos()[request.param]


def test_a_scenario_plays_and_explains_itself(demo: _Demo) -> None:
    assert demo.status == 0, demo.stderr
    assert demo.stderr == ""
    assert demo.stdout.startswith("DEMO ")
    assert _EXPLAINED in demo.stdout
    assert _ADVISED in demo.stdout
    assert demo.report["complete"] is True


def test_an_explanation_quotes_the_processes_of_the_report(demo: _Demo) -> None:
    told = {process["host_pid"] for process in demo.report["processes"]}
    singles = [int(pid) for pid in re.findall(r"host pid (\d+)", demo.explanation)]
    ranges = re.findall(r"host pids ([\d, -]+\d)", demo.explanation)
    quoted = set(singles)
    for text in ranges:
        for part in text.split(", "):
            low, _, high = part.partition("-")
            quoted.update(range(int(low), int(high or low) + 1))
    assert quoted
    assert quoted <= told


def test_the_prose_keeps_to_80_columns_and_plain_text(demo: _Demo) -> None:
    head, _, tail = demo.stdout.partition(_EXPLAINED)
    prose = [*head.partition("\n\n")[0].splitlines(), *tail.splitlines()]
    assert max(len(line) for line in prose) <= 80
    assert "\x1b" not in demo.stdout


@pytest.mark.parametrize("name", _NAMES)
def test_a_scenario_finds_what_it_is_about(name: str) -> None:
    if name in ("fwd-sig-init", "orphans-init"):
        require_program("tini", "tini", "docker-init")
    codes = {finding["code"] for finding in _demos()[name].report["findings"]}
    assert sorted(codes - {"ZT106", "ZT301", "ZT302"}) == _FINDINGS[name]


def test_nothing_is_left_behind() -> None:
    assert [demo.left for demo in _demos().values()] == [[]] * len(_NAMES)
    # The demo's cgroup is called after the demo, which is its PID 1's parent.
    tracers = {
        process["parent_host_pid"]
        for demo in _demos().values()
        for process in demo.report["processes"]
        if process["is_init"]
    }
    assert len(tracers) == len(_NAMES)
    cgroups = {path.name for path in Path("/sys/fs/cgroup").glob("**/zomtrace-demo-*")}
    assert not cgroups & {f"zomtrace-demo-{tracer}" for tracer in tracers}


def test_json_is_json_alone_and_the_words_go_to_stderr() -> None:
    result = run_zomtrace("demo", "--json")
    assert result.codes == ["ZT102"]
    assert _EXPLAINED in result.stderr
    assert result.report["target"] == f"run {DEFAULT}"


def test_a_failed_check_still_explains() -> None:
    result = run_zomtrace("demo", "--fail-on", "ZT102", json_lines=False, status=1)
    assert _EXPLAINED in result.stdout.decode()
    assert "--fail-on" in result.stderr


def test_the_list_names_every_scenario_on_a_line() -> None:
    result = run_zomtrace("demo", "--list", json_lines=False)
    lines = result.stdout.decode().splitlines()
    assert [line.split()[0] for line in lines] == list(_NAMES)
    assert max(len(line) for line in lines) <= 80


def test_an_unknown_scenario_is_a_usage_error() -> None:
    result = run_zomtrace("demo", "no-such-case", json_lines=False, status=2)
    assert result.stdout == b""
    assert "fwd-sig" in result.stderr
