"""PID 1 waits for any child, B for none, and C is dead: who reaps C?"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from functools import partial

from tracer.demo.scenarios.programs.notes import exit_on, idle, say, start


def main(_arguments: Sequence[str]) -> None:
    """Start B, which starts C; wait for any child; kill B on SIGUSR1."""
    read_end, write_end = os.pipe()
    b = start("b", partial(_b, write_end))
    exit_on(signal.SIGTERM)
    signal.signal(signal.SIGUSR1, lambda _signo, _frame: os.kill(b, signal.SIGTERM))
    c = int(os.read(read_end, 32))
    say("c-dead", c)
    reaped: list[int] = []
    while len(reaped) < 2:
        reaped.append(os.waitpid(-1, 0)[0])
    say("reaped", " ".join(str(pid) for pid in reaped))
    say("ready")
    idle()


def _b(write_end: int) -> None:
    c = start("c", int)
    os.waitid(os.P_PID, c, os.WEXITED | os.WNOWAIT)
    os.write(write_end, str(c).encode())
    idle()
