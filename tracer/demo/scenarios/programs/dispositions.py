"""What a process may arrange for SIGTERM, and what none can for SIGKILL."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Sequence
from functools import partial

from tracer.demo.scenarios.programs.notes import exit_on, idle, say, start


def main(_arguments: Sequence[str]) -> None:
    """Send SIGTERM to four children that differ, then what no one can refuse."""
    exit_on(signal.SIGTERM)
    read_end, write_end = os.pipe()
    children = {
        name: start(name, partial(_child, arrange, write_end)) for name, arrange in _ARRANGE.items()
    }
    for _ in children:
        _expect(read_end, b"r")
    for name, child in children.items():
        os.kill(child, signal.SIGTERM)
        if name in ("caught", "reset"):
            _expect(read_end, b"h")
    _print_death("default", children["default"])
    os.kill(children["reset"], signal.SIGTERM)
    _print_death("reset", children["reset"])
    for refused in (signal.SIGKILL, signal.SIGSTOP):
        try:
            signal.signal(refused, signal.SIG_IGN)
        except OSError as error:
            say("refused", f"{refused.name} {errno.errorcode[error.errno or 0]}")
    os.kill(children["ignored"], signal.SIGSTOP)
    _, status = os.waitpid(children["ignored"], os.WUNTRACED)
    say("stopped", f"ignored {os.WIFSTOPPED(status) and signal.Signals(os.WSTOPSIG(status)).name}")
    for name in ("ignored", "caught"):
        os.kill(children[name], signal.SIGKILL)
        _print_death(name, children[name])
    say("ready")
    idle()


def _child(arrange: Callable[[int], None], write_end: int) -> None:
    arrange(write_end)
    os.write(write_end, b"r")
    idle()


def _catch(write_end: int) -> None:
    signal.signal(signal.SIGTERM, lambda _signo, _frame: os.write(write_end, b"h"))


def _catch_once(write_end: int) -> None:
    def handler(_signo: int, _frame: object) -> None:
        # As SA_RESETHAND does: the next one finds the default action.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.write(write_end, b"h")

    signal.signal(signal.SIGTERM, handler)


_ARRANGE: dict[str, Callable[[int], None]] = {
    "ignored": lambda _write_end: _ignore(),
    "caught": _catch,
    "default": lambda _write_end: _default(),
    "reset": _catch_once,
}


def _ignore() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _default() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _expect(read_end: int, byte: bytes) -> None:
    got = os.read(read_end, 1)
    if got != byte:
        raise AssertionError(f"{got!r} instead of {byte!r}")


def _print_death(name: str, child: int) -> None:
    _, status = os.waitpid(child, 0)
    say("died", f"{name} {signal.Signals(os.WTERMSIG(status)).name}")
