"""The file a capture is read from, which any user may own."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from tracer.errors import CaptureError, PrivilegeError

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
        try:
            # Even to open a device can have an effect; a FIFO would keep us waiting.
            self._check(os.stat(path))
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            found = os.fstat(self._fd)
            self._check(found)
        except OSError as error:
            raise cannot_read(path, error) from error
        except CaptureError:
            self.close()
            raise
        self._size = found.st_size

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
                part = os.pread(self._fd, end - begin, begin)
            except OSError as error:
                raise CaptureError(
                    f"{self._path}: cannot be read at byte {begin}: {error.strerror}"
                ) from error
            if not part:
                break
            parts.append(part)
            begin += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def cannot_read(path: Path, error: OSError) -> CaptureError | PrivilegeError:
    """Say why a capture cannot be read, and what its owner can do about it."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return PrivilegeError(
            f"{path}: no permission to read it",
            hint="a capture is readable only by its owner: read it with sudo, or make a copy that"
            ' you own (sudo install -m 600 -o "$USER" FILE COPY)',
        )
    return CaptureError(f"{path}: cannot be read: {error.strerror}")
