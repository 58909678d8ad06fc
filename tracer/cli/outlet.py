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
        fd: The pipe's or socket's descriptor; it stays the caller's.
        while_waiting: Called time and again as long as there is no room.
    """

    def __init__(self, fd: int, while_waiting: Callable[[], object]) -> None:
        super().__init__()
        self._fd = fd
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
        while not self._poll.poll(_LOOK_MS):
            self._while_waiting()
        # Room for so much is what poll(2) promises of a pipe.
        return os.write(self._fd, memoryview(data)[: select.PIPE_BUF])


def has_slow_reader(stream: object) -> bool:
    """Whether somebody else reads what is written there: a pipe or socket."""
    if not isinstance(stream, io.TextIOWrapper):
        return False
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def put_outlet_on_stdout(while_waiting: Callable[[], object]) -> None:
    """Have stdout wait for its reader as an :class:`Outlet` does, if it has one."""
    stdout = sys.stdout
    if not has_slow_reader(stdout):
        return
    stdout.flush()
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(Outlet(stdout.fileno(), while_waiting)),
        encoding=stdout.encoding,
        errors=stdout.errors,
        line_buffering=bool(stdout.line_buffering),
    )
