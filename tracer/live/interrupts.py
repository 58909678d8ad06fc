"""SIGINT and SIGTERM: the end of a program that traces nothing yet, the report of one that does."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """SIGINT or SIGTERM came where there is nothing to report.

    Not a KeyboardInterrupt: only :class:`EarlyEnd` handles it.

    Args:
        signum: Which.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class EarlyEnd:
    """Ends the program on the first SIGINT or SIGTERM, unless a trace takes them over.

    What was begun is undone first, then it dies of the signal, as its caller would
    have it: a shell sees 128 plus the number, and knows that Ctrl-C was meant for
    the whole script. A second signal does not wait for the undoing. Use as a context
    manager, around everything.
    """

    def __init__(self) -> None:
        self._previous: dict[signal.Signals, Any] = {}
        self._previous_hook = sys.unraisablehook
        self._is_ending = False

    def __enter__(self) -> Self:
        # The parent may have blocked them for purposes of its own.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        for signum in _SIGNALS:
            # The parent may want them ignored: nohup, a background job.
            if signal.getsignal(signum) is not signal.SIG_IGN:
                self._previous[signum] = signal.signal(signum, self._handle)
        self._previous_hook, sys.unraisablehook = sys.unraisablehook, self._on_unraisable
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(exc, Interrupted):
            _die(exc.signum)
        sys.unraisablehook = self._previous_hook
        for signum, handler in self._previous.items():
            # What was decided after a run is over stays.
            if signal.getsignal(signum) == self._handle:
                signal.signal(signum, handler)

    def _handle(self, signum: int, _frame: FrameType | None) -> None:
        if self._is_ending:
            _die(signum)
        self._is_ending = True
        raise Interrupted(signum)

    def _on_unraisable(self, hook: sys.UnraisableHookArgs) -> None:
        if isinstance(hook.exc_value, Interrupted):
            # It came in a destructor or the like, which Python lets nothing out of.
            _die(hook.exc_value.signum)
        self._previous_hook(hook)


class Interrupts:
    """Counts SIGINT and SIGTERM instead of ending at the first, once a trace has begun.

    The first ends the trace and still gives the report; a second one, while
    that happens, raises KeyboardInterrupt from wherever the program is. Use as a
    context manager; inside an :class:`EarlyEnd` they are counted until the program
    is over, as the report is yet to be written.
    """

    def __init__(self) -> None:
        self.count = 0
        self.last: signal.Signals | None = None
        self._read_fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._previous: dict[signal.Signals, Any] = {}
        self._previous_wakeup_fd = -1

    def __enter__(self) -> Self:
        return self

    def begin(self) -> None:
        """Count them from now on: an interrupt asks for the report."""
        self._previous_wakeup_fd = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        for signum in _SIGNALS:
            self._previous[signum] = signal.signal(signum, self._handle)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._previous:
            signal.set_wakeup_fd(self._previous_wakeup_fd)
        for signum, handler in self._previous.items():
            is_early = isinstance(getattr(handler, "__self__", None), EarlyEnd)
            if exc is not None or not is_early:
                signal.signal(signum, handler)
        os.close(self._read_fd)
        os.close(self._write_fd)

    def fileno(self) -> int:
        """Readable once a signal came."""
        return self._read_fd

    def clear(self) -> None:
        """Make :meth:`fileno` wait for the next signal."""
        try:
            while os.read(self._read_fd, 64):
                pass
        except BlockingIOError:
            return

    def _handle(self, signum: int, _frame: FrameType | None) -> None:
        self.count += 1
        self.last = signal.Signals(signum)
        if self.count > 1:
            raise KeyboardInterrupt


def _die(signum: int) -> NoReturn:
    name = signal.Signals(signum).name
    with contextlib.suppress(OSError):
        os.write(2, f"zomtrace: terminated by {name} before it had finished\n".encode())
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)
    # Where it is blocked.
    os._exit(128 + signum)
