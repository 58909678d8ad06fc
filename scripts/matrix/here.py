"""The running kernel, in place of a guest: for a virtual machine that is one."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from matrix.catalogue import CHECKOUT
from matrix.errors import InfrastructureError
from matrix.guest import Outcome

NAME = "here"
"""What the running kernel is called on the command line."""

_TIMED_OUT = 124
"""As timeout(1) says it, which keeps the time in a guest."""
_PYTHON = CHECKOUT / ".venv" / "bin" / "python"


def pytest_here(
    arguments: Sequence[str], *, environment: Mapping[str, str], timeout_s: float
) -> Outcome:
    """Run pytest on the running kernel, as root, and report as a guest does.

    Raises:
        InfrastructureError: No root, or no .venv.
    """
    if os.geteuid() != 0:
        raise InfrastructureError("testing the running kernel needs root", hint="use sudo")
    if not _PYTHON.exists():
        raise InfrastructureError(f"no {_PYTHON}", hint="run scripts/setup --test")
    with tempfile.TemporaryDirectory(prefix="zomtrace-here-") as name:
        results = Path(name) / "results"
        results.touch()
        path = f"{_PYTHON.parent}:{os.environ.get('PATH', os.defpath)}"
        begin = time.monotonic()
        try:
            done = subprocess.run(
                [str(_PYTHON), "-m", "pytest", *arguments],
                cwd=CHECKOUT,
                env={
                    **os.environ,
                    "ZOMTRACE_GUEST_RESULTS": str(results),
                    "PATH": path,
                    **environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                # An emulated machine says how much longer everything may take.
                timeout=timeout_s * float(os.environ.get("ZOMTRACE_PATIENCE", "1")),
                check=False,
            )
            status, said = done.returncode, done.stdout
        except subprocess.TimeoutExpired as error:
            status, said = _TIMED_OUT, error.stdout or b""
        seconds = time.monotonic() - begin
        return Outcome(
            status,
            seconds,
            seconds,
            os.uname().release,
            tuple(results.read_text(encoding="utf-8").splitlines()),
            said,
            b"",
        )
