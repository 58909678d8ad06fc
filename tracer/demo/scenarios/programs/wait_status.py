"""Every kind of wait status, as waitpid returns it."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Sequence
from functools import partial

from tracer.demo.scenarios.programs.notes import NOTES, exit_on, idle, say, start

_READY = os.pipe()


def main(_arguments: Sequence[str]) -> None:
    """End children in every way and write down what waitpid says."""
    exit_on(signal.SIGTERM)
    for name, (body, signo) in _ENDS.items():
        child = start(name, body if signo is None else _idle_when_ready)
        if signo is not None:
            os.read(_READY[0], 1)
            os.kill(child, signo)
        _, status = os.waitpid(child, 0)
        say("status", f"{name} {status}")
    child = start("stop-and-go", _idle_when_ready)
    os.read(_READY[0], 1)
    for signo, option in ((signal.SIGSTOP, os.WUNTRACED), (signal.SIGCONT, os.WCONTINUED)):
        os.kill(child, signo)
        _, status = os.waitpid(child, option)
        word = "stopped" if os.WIFSTOPPED(status) else "continued"
        say(word if option != os.WCONTINUED or os.WIFCONTINUED(status) else "neither", status)
    os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    say("status", f"stop-and-go {status}")
    say("ready")
    idle()


def _idle_when_ready() -> None:
    os.write(_READY[1], b"!")
    idle()


def _abort() -> None:
    # The core goes where it is removed again, if this machine writes one.
    notes = os.environ.get(NOTES)
    if notes is not None:
        os.chdir(os.path.dirname(notes))
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    os.abort()


_ENDS: dict[str, tuple[Callable[[], object], int | None]] = {
    "exits-0": (int, None),
    "exits-7": (partial(os._exit, 7), None),
    "exits-137": (partial(os._exit, 137), None),
    "terminated": (idle, signal.SIGTERM),
    "killed": (idle, signal.SIGKILL),
    "aborts": (_abort, None),
}
