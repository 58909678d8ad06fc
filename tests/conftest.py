"""What holds for every test: markers, and skips that may not be.

``ZOMTRACE_REQUIRE`` is a comma list of capabilities this machine is said to
have (root, bpf, docker, runc ...; ``all`` for every one). A skip whose reason
names one of them is a failure; so is, anywhere, a skip that gives no reason.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

try:
    from hypothesis import settings
except ModuleNotFoundError:
    # A guest that runs the kernel tests alone may be without.
    pass
else:
    # A busy machine is no fault of what is tested.
    settings.register_profile("no-deadline", deadline=None)
    # A mutant is killed or survives by the code alone, not by what was drawn this time.
    settings.register_profile(
        "mutants", deadline=None, derandomize=True, database=None, max_examples=25
    )
    settings.load_profile("no-deadline")

# Programs compiled by a test are not for the next trace of this machine's user; a
# kernel guest has no such user, and hands them on.
_compiled = tempfile.TemporaryDirectory(prefix="zomtrace-compiled-")
os.environ["ZOMTRACE_CACHE"] = os.environ.get(
    "ZOMTRACE_GUEST_PROGRAMS", f"{_compiled.name}/programs"
)

_LIVE = tuple(Path(__file__).parent / name for name in ("live", "bench"))
_NO_REASON = {"", "unconditional skip", "<Skipped instance>", "<Skipped ''>"}
_SKIPPED = re.compile(r"^Skipped(?:: )?")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that rewrites the goldens; the diff is for a human to read."""
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite tests/data/golden from what is"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies under tests/live and tests/bench, and skip what root alone can do."""
    for item in items:
        if any(directory in item.path.parents for directory in _LIVE):
            item.add_marker(pytest.mark.live)
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a forbidden skip of a test into its failure."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        _forbid(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself as a whole."""
    report = yield
    if report.skipped:
        _forbid(report)
    return report


def _forbid(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not isinstance(report.longrepr, tuple):
        return
    path, line, text = report.longrepr
    reason = _SKIPPED.sub("", text).strip()
    complaint = _complaint(reason)
    if complaint:
        report.outcome = "failed"
        report.longrepr = f"{path}:{line}: {complaint}"


def _complaint(reason: str) -> str | None:
    if reason in _NO_REASON:
        return "skipped without a reason"
    required = {name.strip().lower() for name in os.environ.get("ZOMTRACE_REQUIRE", "").split(",")}
    if "all" in required:
        return f"ZOMTRACE_REQUIRE forbids every skip: {reason}"
    named = sorted(required & set(re.findall(r"\w+", reason.lower())))
    if named:
        return f"ZOMTRACE_REQUIRE names {', '.join(named)}, yet skipped: {reason}"
    return None
