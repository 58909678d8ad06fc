"""Orphans of three kinds: who inherits them?"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from tracer.demo.scenarios.programs.kernelcalls import become_subreaper
from tracer.demo.scenarios.programs.notes import exit_on, idle, say, start

_POLL_S = 0.005


def main(arguments: Sequence[str]) -> None:
    """Make orphans, and wait for one's own children only, by pid.

    Args:
        arguments: How many orphans of each kind.
    """
    number = int(arguments[0])
    exit_on(signal.SIGTERM)
    for name, family in (("two-threads", _of_a_thread), ("subreaper", _below_a_subreaper)):
        os.waitpid(start(name, partial(family, number)), 0)
    release = _make_orphans("of-no-one", number)
    release()
    say("ready")
    idle()


def _of_a_thread(number: int) -> None:
    read_end, write_end = os.pipe()
    children: list[int] = []

    def body() -> None:
        children.extend(
            start("of-thread", partial(_until_closed, read_end, write_end)) for _ in range(number)
        )

    thread = threading.Thread(target=body)
    thread.start()
    # join() returns a moment before the kernel's thread ends.
    while len(os.listdir("/proc/self/task")) > 1:
        time.sleep(_POLL_S)
    # The thread that forked them is gone; this one inherits them.
    os.close(write_end)
    for child in children:
        os.waitpid(child, 0)


def _below_a_subreaper(number: int) -> None:
    become_subreaper()
    release = _make_orphans("of-subreaper", number)
    release()
    for _ in range(number):
        os.waitpid(-1, 0)


def _make_orphans(comm: str, number: int) -> Callable[[], None]:
    """Have a middle process fork them and end; gives what lets them end."""
    read_end, write_end = os.pipe()

    def middle() -> None:
        for _ in range(number):
            start(comm, partial(_until_closed, read_end, write_end))

    os.waitpid(start("middle", middle), 0)

    def release() -> None:
        os.close(write_end)

    return release


def _until_closed(read_end: int, write_end: int) -> None:
    os.close(write_end)
    os.read(read_end, 1)
