"""A pipe whose reader takes its time: something else goes on meanwhile."""

from __future__ import annotations

import io
import os
import select
import stat
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_LOOK_MS = 10


class Outlet(io.RawIOBase):
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
        super().__init__()
        self._stream = stream
        self._fd = fd = stream.fileno()
        self._while_waiting = while_waiting
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)

    def fileno(self) -> int:
        """The descriptor."""
        return self._fd

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Write as much as there is room for, and wait until there is some.

        Raises:
            BrokenPipeError: The reader is gone.
        """
        self._while_waiting()
        while not self._poll.poll(_LOOK_MS):
            self._while_waiting()
        # Room for so much is what poll(2) promises of a pipe.
        return os.write(self._fd, memoryview(data)[: select.PIPE_BUF])


def put_outlet_on_stdout(while_waiting: Callable[[], object]) -> None:
    """Have stdout wait for its reader as an :class:`Outlet` does, if it is a pipe or socket."""
    stdout = sys.stdout
    if not isinstance(stdout, io.TextIOWrapper) or not _is_pipe(stdout):
        return
    stdout.flush()
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(Outlet(stdout, while_waiting)),
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
