"""A Python script as PID 1 of a PID namespace of its own, talked to by lines."""

from __future__ import annotations

import os
import select
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.support.require import require_program
from tests.support.waiting import PATIENCE

PRELUDE = """
import os, signal, sys, threading, time
def say(*words): print(*words, flush=True)
def hear(): return sys.stdin.readline().strip()
"""


class PidnsScript:
    """Runs a script in a new PID namespace. Use as a context manager.

    The script has ``say(*words)`` and ``hear()`` and the usual modules. Leaving
    the context kills the namespace.
    """

    def __init__(self, script: str, *, pidns: bool = True) -> None:
        unshare = require_program("unshare", "unshare")
        prefix = [str(unshare), "--pid", "--fork", "--kill-child"] if pidns else []
        self._process = subprocess.Popen(
            # No site: nothing but the script's own forks may happen.
            [*prefix, "/usr/bin/python3", "-I", "-S", "-c", PRELUDE + script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._pending = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        self._process.kill()
        self._process.wait()

    @property
    def outer_pid(self) -> int:
        """unshare itself: the parent of the namespace's init, outside of it."""
        return self._process.pid

    @property
    def pidns_inum(self) -> int:
        """The namespace; the script must have said something already."""
        link = os.readlink(f"/proc/{self.outer_pid}/ns/pid_for_children")
        return int(link.removeprefix("pid:[").removesuffix("]"))

    @property
    def init_pid(self) -> int:
        """The script's own host pid."""
        children = Path(f"/proc/{self.outer_pid}/task/{self.outer_pid}/children").read_text()
        return int(children.split()[0])

    def tell(self, line: str = "go") -> None:
        """Send a line to ``hear()``."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def listen(self, within_s: float = 60.0) -> str:
        """Return the next line that was said."""
        assert self._process.stdout is not None
        within_s *= PATIENCE
        deadline = time.monotonic() + within_s
        while b"\n" not in self._pending:
            ready, _, _ = select.select(
                [self._process.stdout], [], [], max(0.0, deadline - time.monotonic())
            )
            chunk = os.read(self._process.stdout.fileno(), 1 << 16) if ready else b""
            if not chunk:
                raise AssertionError(f"nothing said within {within_s} s, or the script died")
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        return line.decode()

    def wait(self, within_s: float = 60.0) -> int:
        """Wait for the end of the namespace; the exit status of unshare."""
        return self._process.wait(within_s)
