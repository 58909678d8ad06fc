"""What every program needs: a name, and a way to say what it did."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import NoReturn

_CAUGHT = (signal.SIGTERM, signal.SIGUSR1)
NOTES = "ZOMTRACE_DEMO_NOTES"
"""The environment variable that names the pipe to write notes to."""


def call_self(comm: str) -> None:
    """Take a name, as ``ps`` and traces show it."""
    with open("/proc/self/comm", "w", encoding="ascii") as file:
        file.write(comm)


def say(word: str, rest: object = "") -> None:
    """Write one note: what this program knows of itself."""
    path = os.environ.get(NOTES)
    line = f"{word} {rest}".strip()
    if path is None:
        os.write(2, f"{line}\n".encode())
        return
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, f"{line}\n".encode())
    finally:
        os.close(fd)


def start(comm: str, body: Callable[[], object]) -> int:
    """Fork a child that runs ``body`` under a name and exits 0; its pid.

    It starts with the default action for the signals its parent may catch.
    """
    # Python forgets what a child caught before it had settled: keep signals out.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _CAUGHT)
    try:
        pid = os.fork()
    except OSError:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        raise
    if pid == 0:
        code = 1
        try:
            for signo in _CAUGHT:
                signal.signal(signo, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            call_self(comm)
            body()
            code = 0
        finally:
            os._exit(code)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def idle() -> NoReturn:
    """Do nothing until a signal ends the process."""
    while True:
        signal.pause()


def exit_on(signo: int) -> None:
    """Install a handler that ends the process at once with code 0."""
    signal.signal(signo, lambda _signo, _frame: os._exit(0))
