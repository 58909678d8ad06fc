"""tests/conftest.py, tried on small test suites of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_CONFTEST = Path(__file__).parents[2] / "conftest.py"


def _outcome(directory: Path, source: str, *, require: str | None) -> tuple[int, str]:
    """Run pytest on one module beside our conftest; its status and its output."""
    shutil.copy(_CONFTEST, directory)
    (directory / "test_it.py").write_text(f"import pytest\n{source}\n")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "ZOMTRACE"))}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    if require is not None:
        environment["ZOMTRACE_REQUIRE"] = require
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", "test_it.py"],
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


_SKIPS = {
    "call": "def test_it():\n    pytest.skip('needs docker: no dockerd')",
    "mark": "@pytest.mark.skipif(True, reason='needs docker')\ndef test_it(): ...",
    "module": "pytest.skip('needs docker', allow_module_level=True)",
}


@pytest.mark.parametrize("source", _SKIPS.values(), ids=_SKIPS.keys())
def test_a_skip_for_want_of_a_required_capability_fails(tmp_path: Path, source: str) -> None:
    status, output = _outcome(tmp_path, source, require="root,docker")
    assert status != 0
    assert "ZOMTRACE_REQUIRE names docker, yet skipped: needs docker" in output


@pytest.mark.parametrize("source", _SKIPS.values(), ids=_SKIPS.keys())
@pytest.mark.parametrize("require", [None, "", "root,dock"])
def test_a_skip_for_want_of_anything_else_stays_one(
    tmp_path: Path, source: str, require: str | None
) -> None:
    status, output = _outcome(tmp_path, source, require=require)
    # A module that skips itself leaves no test: pytest's 5.
    assert status in (0, 5)
    assert "1 skipped" in output


def test_all_forbids_every_skip(tmp_path: Path) -> None:
    status, output = _outcome(tmp_path, _SKIPS["call"], require="all")
    assert status == 1
    assert "1 failed" in output


@pytest.mark.parametrize(
    "source",
    ["def test_it():\n    pytest.skip()", "@pytest.mark.skip\ndef test_it(): ..."],
    ids=["call", "mark"],
)
def test_a_skip_without_a_reason_fails(tmp_path: Path, source: str) -> None:
    status, output = _outcome(tmp_path, source, require=None)
    assert status == 1
    assert "skipped without a reason" in output


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    source = "@pytest.mark.xfail(reason='docker')\ndef test_it():\n    raise AssertionError"
    status, output = _outcome(tmp_path, source, require="docker")
    assert status == 0
    assert "1 xfailed" in output
