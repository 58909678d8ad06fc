"""A stand-in for a host's init that has stopped reaping, below a PID 1 that has not."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Sequence
from functools import partial

from tracer.demo.scenarios.programs.kernelcalls import become_subreaper
from tracer.demo.scenarios.programs.notes import exit_on, idle, say, start


def main(arguments: Sequence[str]) -> None:
    """Start the stand-in; kill it on SIGUSR1; reap; fork again.

    Args:
        arguments: How many orphans at the most.
    """
    exit_on(signal.SIGTERM)
    stand_in = start("init", partial(_stand_in, int(arguments[0])))
    signal.signal(signal.SIGUSR1, lambda _signo, _frame: os.kill(stand_in, signal.SIGKILL))
    reaped = 0
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            break
        reaped += 1
    say("reaped", reaped)
    os.waitpid(start("probe", int), 0)
    say("forks-again")
    say("ready")
    idle()


def _stand_in(most: int) -> None:
    become_subreaper()
    made = 0
    while made < most:
        try:
            middle = start("daemon", _daemon)
        except OSError as error:
            say("refused", f"init {errno.errorcode.get(error.errno or 0)}")
            break
        # It waits for those it started, and has forgotten about orphans.
        _, status = os.waitpid(middle, 0)
        if os.WEXITSTATUS(status):
            say("refused", f"daemon {errno.errorcode.get(os.WEXITSTATUS(status))}")
            break
        made += 1
    say("made", made)
    say("full")
    idle()


def _daemon() -> None:
    """Fork once more and end, as daemons do; the exit code is fork's errno."""
    try:
        start("orphan", int)
    except OSError as error:
        os._exit(error.errno or 1)
