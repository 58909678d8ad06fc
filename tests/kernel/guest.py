"""The pytest plugin of a kernel guest: warm programs, and results for the table.

``pytest -p tests.kernel.guest`` makes any live test fit for an emulated guest;
scripts/matrix/testrun.py gives it, and reads what it writes.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel import forkserver

if TYPE_CHECKING:
    from tests.kernel.warm import WarmSets

_RESULTS = "ZOMTRACE_GUEST_RESULTS"
_FACT = "zomtrace-fact"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "subject(name): the row of the matrix a test belongs to")
    config.addinivalue_line("markers", "traces_at_a_time(n): how many a module's tests run")
    config.addinivalue_line("markers", "cold: nothing is compiled beforehand for this module")


class _Warmth:
    """What makes traces start at once, made when the first test wants it."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._sets: WarmSets | None = None
        self._directory = Path(tempfile.mkdtemp(prefix="zt-warm-"))
        self._server: int | None = None
        self.load_seconds: dict[str, float] = {}

    def have(self, sets: int) -> None:
        """Be ready for so many traces at a time."""
        # Heavy, and imported for the server to have it.
        import numpy as np  # noqa: F401

        import tracer.cli.run
        import tracer.cli.watch
        import tracer.live.run
        import tracer.live.trace
        import tracer.wire.decode  # noqa: F401
        from tests.kernel.warm import WarmSets, warm_loader

        if self._sets is None:
            self._sets = WarmSets(self._directory)
            self.load_seconds = self._sets.load_seconds
            self._stack.enter_context(warm_loader(self._sets))
            path = os.environ["PATH"]
            self._stack.callback(os.environ.__setitem__, "PATH", path)
            os.environ["PATH"] = f"{self._directory}:{path}"
        elif len(self._sets) >= sets:
            return
        while len(self._sets) < sets:
            self._sets.add()
        # A server knows what was loaded when it was forked.
        self._end_server()
        self._server = forkserver.start(self._directory)

    def have_none(self) -> None:
        """Be as any other process: the next trace compiles for itself."""
        self._end_server()
        self._stack.close()
        self._sets = None

    def close(self) -> None:
        self.have_none()
        shutil.rmtree(self._directory)

    def _end_server(self) -> None:
        if self._server is not None:
            os.kill(self._server, signal.SIGKILL)
            os.waitpid(self._server, 0)
            self._server = None


@pytest.fixture(scope="session")
def warmth() -> Iterator[_Warmth]:
    warmth = _Warmth()
    yield warmth
    warmth.close()


@pytest.fixture(scope="module", autouse=True)
def _warm(request: pytest.FixtureRequest, warmth: _Warmth) -> None:
    marks = {mark.name: mark for mark in request.node.iter_markers()}
    if "cold" in marks:
        warmth.have_none()
    else:
        warmth.have(marks["traces_at_a_time"].args[0] if "traces_at_a_time" in marks else 1)


@pytest.fixture
def fact(record_property: Any) -> Any:
    """Note a fact for docs/kernels.md: ``fact(name, value)``."""

    def note(name: str, value: object) -> None:
        record_property(_FACT, (name, value))

    return note


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    mark = item.get_closest_marker("subject")
    subject = mark.args[0] if mark else item.path.stem.removeprefix("test_").replace("_", " ")
    report.user_properties.append(("zomtrace-subject", subject))
    return report


class _Book:
    """Adds up setup, call and teardown of each test and writes one line a test."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._reports: dict[str, list[pytest.TestReport]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._reports.setdefault(report.nodeid, []).append(report)
        if report.when != "teardown":
            return
        reports = self._reports.pop(report.nodeid)
        outcomes = {each.outcome for each in reports}
        verdict = next(word for word in ("failed", "skipped", "passed") if word in outcomes)
        reason = None
        for each in reports:
            if each.skipped and isinstance(each.longrepr, tuple):
                reason = each.longrepr[2].removeprefix("Skipped: ")
        properties: list[tuple[str, Any]] = [
            pair for each in reports for pair in each.user_properties
        ]
        line = {
            "test": report.nodeid,
            "subject": dict(properties)["zomtrace-subject"],
            "verdict": verdict,
            "seconds": round(sum(each.duration for each in reports), 2),
            "facts": dict(value for name, value in properties if name == _FACT),
            "reason": reason,
        }
        with open(self._path, "a", encoding="utf-8") as results:
            results.write(json.dumps(line) + "\n")


def pytest_sessionstart(session: pytest.Session) -> None:
    path = os.environ.get(_RESULTS)
    if path:
        session.config.pluginmanager.register(_Book(path), "zomtrace-results")


def pytest_report_header() -> str:
    return f"kernel: {platform.release()}"
