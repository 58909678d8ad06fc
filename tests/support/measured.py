"""zomtrace run once, and what it took."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MEASURED = """
import re, sys, time
from tracer.cli.main import main
try:
    main(sys.argv[1:])
finally:
    most = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
    print(time.process_time(), most, file=sys.stderr)
"""
"""zomtrace, that says last what it took; wait4 would count what its parent had."""


def run(*arguments: str | Path) -> tuple[int, str, float, int]:
    """Run zomtrace.

    Returns:
        Its exit status, what it said on stderr, the processor time it took, and the most
        memory it had, kB.
    """
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, arguments)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    *said, measured = done.stderr.splitlines(keepends=True)
    seconds, memory_kb = measured.split()
    return done.returncode, "".join(said), float(seconds), int(memory_kb)
