"""Five parents with the same children and five ways to be rid of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial

from tracer.demo.scenarios.programs.notes import exit_on, idle, say, start

_POLL_S = 0.05


def main(arguments: Sequence[str]) -> None:
    """Play the parents one after the other; reap what is left to PID 1.

    Args:
        arguments: How many children each has.
    """
    number = int(arguments[0])
    exit_on(signal.SIGTERM)
    for name, body in _STYLES.items():
        parent = start(name, partial(body, number))
        while os.waitpid(-1, 0)[0] != parent:
            pass
    _reap_all()
    say("ready")
    idle()


def _blocking(number: int) -> None:
    for _ in range(number):
        start("of-wait", int)
    _reap_all()


def _polling(number: int) -> None:
    for _ in range(number):
        start("of-wnohang", int)
    left = number
    while left:
        if os.waitpid(-1, os.WNOHANG)[0]:
            left -= 1
        else:
            time.sleep(_POLL_S)


def _handling(number: int) -> None:
    left = number

    def reap(_signo: int, _frame: object) -> None:
        # One SIGCHLD may stand for many children: wait until there is none.
        nonlocal left
        while left and os.waitpid(-1, os.WNOHANG)[0]:
            left -= 1

    signal.signal(signal.SIGCHLD, reap)
    for _ in range(number):
        start("of-handler", int)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    while left:
        signal.sigwait([signal.SIGCHLD])
        reap(signal.SIGCHLD, None)


def _ignoring(number: int) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in range(number):
        start("of-ignored", int)
    # With SIGCHLD ignored wait returns when the last child is gone: ECHILD.
    _reap_all()


def _forking_twice(number: int) -> None:
    read_end, write_end = os.pipe()

    def grandchild() -> None:
        os.close(write_end)
        os.read(read_end, 1)

    for _ in range(number):
        middle = start("middle", lambda: start("of-double-fork", grandchild))
        os.waitpid(middle, 0)
    # The grandchildren end now that they have another parent.
    os.close(write_end)


def _reap_all() -> None:
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


_STYLES: dict[str, Callable[[int], None]] = {
    "wait": _blocking,
    "wnohang": _polling,
    "handler": _handling,
    "ignored": _ignoring,
    "double-fork": _forking_twice,
}
