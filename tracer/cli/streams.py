"""stdin, stdout and stderr as a caller left them: closed, full, or without a reader."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

from tracer.errors import ReaderGoneError, StdoutError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Stdout(io.RawIOBase):
    """Writes to stdout until that fails, which it says once.

    What is written after a failure is discarded: by whatever still writes, the
    interpreter's own flush at exit included, does not fail a second time.

    Args:
        stream: Wrote to the descriptor until now; kept, for its end would close it.

    Attributes:
        failure: What went wrong, or None.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._fd = stream.fileno()
        self.failure: StdoutError | ReaderGoneError | None = None
        self._is_cut = False

    def fileno(self) -> int:
        """The descriptor."""
        return self._fd

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._fd)

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Write as much as there is room for.

        Raises:
            ReaderGoneError: The reader has gone.
            StdoutError: It cannot be written to.
        """
        return self._put(memoryview(data))

    def _put(self, data: memoryview) -> int:
        while self.failure is None and not self._is_cut:
            try:
                return os.write(self._fd, data)
            except BlockingIOError:
                # A process that shares it with us has made it so.
                select.select((), (self._fd,), ())
            except KeyboardInterrupt:
                # It may have gone out: the buffer, which does not know, would repeat it.
                self._is_cut = True
                raise
            except OSError as error:
                self.failure = _stdout_failure(error)
                raise self.failure from error
        return len(data)


class _Stderr(io.RawIOBase):
    """Writes to stderr what can be written there.

    A message that cannot be read is no reason to end: the exit status says it too.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._fd = stream.fileno()

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        view = memoryview(data)
        try:
            return os.write(self._fd, view)
        except OSError:
            return len(view)


def take_streams() -> None:
    """Put streams on stdin, stdout and stderr that fail as this program wants them to."""
    _occupy_closed()
    sys.stdout = _taken(sys.stdout, 1, Stdout)
    sys.stderr = _taken(sys.stderr, 2, _Stderr)


def stdout_failure() -> StdoutError | ReaderGoneError | None:
    """Hand on what is still buffered for stdout; what went wrong there, now or before."""
    # A failure of before has been raised already: flush() is silent then.
    with contextlib.suppress(StdoutError, ReaderGoneError):
        sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw.failure if isinstance(raw, Stdout) else None


def _occupy_closed() -> None:
    """Open something as 0, 1 and 2 where nothing is.

    Otherwise the next file to be opened, a capture or an engine's socket, gets the
    number, and what is meant for stdout goes there. What cannot be written to
    stays that: stdout is opened for reading.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            flags = os.O_WRONLY if number == 2 else os.O_RDONLY
            # The lowest number that is free: this one.
            opened = os.open(os.devnull, flags)
            os.set_inheritable(opened, True)


def _taken(stream: TextIO | None, fd: int, kind: type[Stdout | _Stderr]) -> TextIO:
    is_line_buffered = fd == 2
    if stream is None:
        # Python gives none where it found the descriptor closed.
        stream = open(fd, "w" if fd == 2 else "r", encoding="utf-8", closefd=False)  # noqa: SIM115
    if not isinstance(stream, io.TextIOWrapper):
        # Not the system's: a test's, or an embedding program's.
        return stream
    if stream.writable():
        stream.flush()
        is_line_buffered |= stream.line_buffering
    return io.TextIOWrapper(
        io.BufferedWriter(kind(stream)),
        encoding=_usable(stream.encoding),
        errors="backslashreplace",
        line_buffering=is_line_buffered,
    )


def _usable(encoding: str) -> str:
    """What PYTHONIOENCODING names may write no line of text (``idna``)."""
    try:
        "e\u0301\udcff\n".encode(encoding, "backslashreplace")
    except (UnicodeError, LookupError):
        return "utf-8"
    return encoding


def _stdout_failure(error: OSError) -> StdoutError | ReaderGoneError:
    if error.errno == errno.EPIPE:
        return ReaderGoneError("stdout: its reader has closed it")
    if error.errno == errno.EBADF:
        return StdoutError(
            "stdout is closed", hint="redirect it to /dev/null if you do not need it"
        )
    hint = "free some space there, or write to another file system" if _is_space(error) else None
    return StdoutError(f"stdout: {error.strerror}", hint=hint)


def _is_space(error: OSError) -> bool:
    return error.errno in {errno.ENOSPC, errno.EDQUOT}
