"""A pipe whose reader takes its time: something else goes on meanwhile."""

from __future__ import annotations

import io
import os
import select
import stat
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from tracer.cli.streams import Stdout

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_LOOK_MS = 10


class PipeWriter(Stdout):
    """Writes to a pipe or socket as its reader has room.

    A trace that waits in write(2) does not empty its ring, and what the ring has
    no room for is lost.

    Args:
        stream: Wrote to the pipe or socket until now; kept, for its end would close
            that.
        while_waiting: Called before each few KiB, and time and again as long as there
            is no room: many a short wait is a long one.
    """

    def __init__(self, stream: io.TextIOWrapper, while_waiting: Callable[[], object]) -> None:
        super().__init__(stream)
        self._while_waiting = while_waiting
        self._poll = select.poll()
        self._poll.register(self.fileno(), select.POLLOUT)

    def write(self, data: ReadableBuffer, /) -> int:
        """Write as much as there is room for, and wait until there is some.

        Raises:
            ReaderGoneError: The reader is gone.
            StdoutError: It cannot be written to.
        """
        while self.failure is None and not self._is_cut:
            self._while_waiting()
            if self._poll.poll(_LOOK_MS):
                break
        # Room for so much is what poll(2) promises of a pipe.
        return self._put(memoryview(data)[: select.PIPE_BUF])


def put_pipe_writer_on_stdout(while_waiting: Callable[[], object]) -> None:
    """Have stdout wait for its reader as an :class:`PipeWriter` does, if it is a pipe or socket."""
    stdout = sys.stdout
    if not isinstance(stdout, io.TextIOWrapper) or not _is_pipe(stdout):
        return
    stdout.flush()
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(PipeWriter(stdout, while_waiting)),
        encoding=stdout.encoding,
        errors=stdout.errors,
        line_buffering=bool(stdout.line_buffering),
    )


def _is_pipe(stream: io.TextIOWrapper) -> bool:
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (OSError, ValueError):
        # Closed, or nothing of the system's.
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
