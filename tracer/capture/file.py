"""The file a capture is read from, which any user may own."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from tracer.errors import CaptureError, PrivilegeError
from tracer.files.waiting import in_background, interruptibly
from tracer.trust.walk import may_not_answer

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


class CaptureFile:
    """Bytes of a regular file, read where they are asked for.

    It is not mapped: its owner may truncate it while it is read, and what was checked
    must be what is used.

    Args:
        path: The file.

    Raises:
        CaptureError: There is none, or it is something else.
        PrivilegeError: The caller may not read it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._may_wait = False
        try:
            self._fd, self._size = interruptibly(lambda: self._open(path))
            # Without /proc the file system is unknown.
            with suppress(FileNotFoundError):
                self._may_wait = may_not_answer(self._fd)
        except OSError as error:
            self.close()
            raise cannot_read(path, error) from error

    def _open(self, path: Path) -> tuple[int, int]:
        # Even to open a device can have an effect; a FIFO would keep us waiting.
        self._check(os.stat(path))
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            found = os.fstat(fd)
            self._check(found)
        except BaseException:
            os.close(fd)
            raise
        return fd, found.st_size

    def _check(self, found: os.stat_result) -> None:
        what = next((name for is_kind, name in _KINDS if is_kind(found.st_mode)), None)
        if what is not None:
            raise CaptureError(
                f"{self._path}: {what}, not a capture",
                hint="a capture is read more than once: save it to a regular file first",
            )

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, where: slice) -> bytes:
        begin, end, _ = where.indices(self._size)
        parts = []
        while begin < end:
            try:
                part = self._read(end - begin, begin)
            except OSError as error:
                raise CaptureError(
                    f"{self._path}: cannot be read at byte {begin}: {error.strerror}"
                ) from error
            if not part:
                break
            parts.append(part)
            begin += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read(self, size: int, begin: int) -> bytes:
        if self._may_wait:
            return interruptibly(lambda: os.pread(self._fd, size, begin))
        return os.pread(self._fd, size, begin)

    def close(self) -> None:
        """Close the file; may be called twice."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        if self._may_wait:
            # close() notifies the server, and waits for its answer.
            in_background(lambda: os.close(fd))
        else:
            os.close(fd)


def cannot_read(path: Path, error: OSError) -> CaptureError | PrivilegeError:
    """Say why a capture cannot be read, and what its owner can do about it."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return PrivilegeError(
            f"{path}: no permission to read it",
            hint="a capture is readable only by its owner: read it with sudo, or make a copy that"
            ' you own (sudo install -m 600 -o "$USER" FILE COPY)',
        )
    return CaptureError(f"{path}: cannot be read: {error.strerror}")
