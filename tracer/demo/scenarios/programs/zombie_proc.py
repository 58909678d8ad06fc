"""PID 1 that forks until it cannot, and never waits."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Sequence

from tracer.demo.scenarios.programs.notes import exit_on, idle, say, start


def main(arguments: Sequence[str]) -> None:
    """Make zombies, signal them, and look whether they are still there.

    Args:
        arguments: How many children at the most.
    """
    exit_on(signal.SIGTERM)
    children = []
    for _ in range(int(arguments[0])):
        try:
            children.append(start("child", int))
        except OSError as error:
            say("refused", errno.errorcode.get(error.errno or 0, error.errno))
            break
    say("forked", len(children))
    # WNOWAIT looks and leaves the zombie where it is.
    for child in children:
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    say("full")
    for signo in (signal.SIGTERM, signal.SIGKILL):
        for child in children:
            os.kill(child, signo)
    left = 0
    for child in children:
        state = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        left += state is not None and state.si_pid == child
    say("left", left)
    say("ready")
    idle()
