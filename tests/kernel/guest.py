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
from typing import Any

import pytest

_RESULTS = "ZOMTRACE_GUEST_RESULTS"
_FACT = "zomtrace-fact"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "subject(name): the row of the matrix a test belongs to")
    config.addinivalue_line("markers", "cold: nothing is compiled beforehand for this module")


class _Warmth:
    """What makes traces start at once, made when the first test wants it."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.facts: dict[str, object] = {}
        self.is_on = False

    def switch_on(self) -> None:
        if self.is_on:
            return
        # Heavy, and imported for the server to have it.
        import numpy as np  # noqa: F401

        import tracer.cli.run
        import tracer.cli.watch
        import tracer.session.runner
        import tracer.session.trace
        import tracer.wire.decode  # noqa: F401
        from tests.kernel import forkserver
        from tests.kernel.warm import WarmSets, warm_loader

        directory = Path(tempfile.mkdtemp(prefix="zt-warm-"))
        self._stack.callback(shutil.rmtree, directory, ignore_errors=True)
        sets = WarmSets(directory)
        self.facts = {f"{name} s": round(s, 2) for name, s in sets.load_seconds.items()}
        self._stack.enter_context(warm_loader(sets))
        server = forkserver.start(directory)
        self._stack.callback(os.waitpid, server, 0)
        self._stack.callback(os.kill, server, signal.SIGKILL)
        path = os.environ["PATH"]
        self._stack.callback(os.environ.__setitem__, "PATH", path)
        os.environ["PATH"] = f"{directory}:{path}"
        self.is_on = True

    def switch_off(self) -> None:
        self._stack.close()
        self.is_on = False


@pytest.fixture(scope="session")
def _warmth() -> Iterator[_Warmth]:
    warmth = _Warmth()
    yield warmth
    warmth.switch_off()


@pytest.fixture(scope="module", autouse=True)
def _warm(request: pytest.FixtureRequest, _warmth: _Warmth) -> None:
    if any(mark.name == "cold" for mark in request.node.iter_markers()):
        _warmth.switch_off()
    else:
        _warmth.switch_on()


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
        properties = [pair for each in reports for pair in each.user_properties]
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
