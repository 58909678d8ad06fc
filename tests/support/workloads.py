"""Programs with known truth: compiled once a session, static, fit for any container."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from tests.support.require import require_program

SOURCES = Path(__file__).parent.parent / "workloads"


@cache
def workload(name: str) -> Path:
    """Compile ``tests/workloads/NAME.c`` and return the static binary.

    Where there is no compiler, ZOMTRACE_WORKLOADS is a directory of binaries.
    """
    compiled = os.environ.get("ZOMTRACE_WORKLOADS")
    if compiled:
        return Path(compiled) / name
    compiler = require_program("gcc", "gcc")
    binary = _directory() / name
    subprocess.run(
        [compiler, "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-static", "-pthread",
         "-o", binary, SOURCES / f"{name}.c"],
        check=True,
    )  # fmt: skip
    return binary


def workload_files(*names: str) -> dict[str, Path]:
    """Where workloads go inside a root file system: ``/bin/NAME`` -> binary."""
    return {f"/bin/{name}": workload(name) for name in names}


@cache
def _directory() -> Path:
    path = Path(tempfile.mkdtemp(prefix="zt-workloads-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path
