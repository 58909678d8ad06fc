"""What starting up costs: which packages are loaded before they are needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

_HEAVY = ("bcc", "click", "numpy", "pandas", "pyarrow", "pyroute2", "rich")

_REPORT_LOADED = """
import sys
{statement}
print("loaded:", *sorted({{name.partition(".")[0] for name in sys.modules}}))
"""


def _loaded_by(statement: str) -> set[str]:
    """Top-level packages in a new interpreter after a statement has run."""
    done = subprocess.run(
        [sys.executable, "-c", _REPORT_LOADED.format(statement=statement)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    last_line = done.stdout.splitlines()[-1]
    assert last_line.startswith("loaded:")
    return set(last_line.split()[1:])


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not _loaded_by("import tracer") & set(_HEAVY)


@pytest.mark.parametrize("room", ["errors", "model.events", "model.report", "model.verdicts"])
def test_the_model_loads_nothing_heavy(room: str) -> None:
    assert not _loaded_by(f"import tracer.{room}") & set(_HEAVY)


def test_help_loads_nothing_that_only_tracing_needs() -> None:
    # The console script itself, not what it is thought to call.
    statement = """
from importlib.metadata import entry_points
script, = entry_points(group="console_scripts", name="zomtrace")
sys.argv = ["zomtrace", "--help"]
try:
    sys.exit(script.load()())
except SystemExit as ended:
    assert not ended.code, ended.code
"""
    assert not _loaded_by(statement) & {"bcc", "numpy", "pandas", "pyarrow", "pyroute2"}
