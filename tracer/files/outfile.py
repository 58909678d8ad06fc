"""Files that only their owner can read, are complete or absent, and that no one can redirect.

Reports, exports and the cache are written through this module. A file gets its name,
in place of an earlier one, once all of it is written; until then there is a
``.zomtrace-*.part`` beside it. See :mod:`tracer.files.place` for what of a path is
followed.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from tracer.files.place import MadeDirectory, Place, find_place, refuse_other_owner
from tracer.model.capture_mark import is_capture

_MODE = 0o600
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


class NewFiles:
    """Some files that get their names together, once all of them are written.

    Use it as a context; where that is left by an exception there are none of them,
    nor the directories made for them, and what was there before still is.
    """

    def __init__(self) -> None:
        self._files: list[tuple[BinaryIO, _Part | None]] = []
        self._made: list[MadeDirectory] = []
        self._is_complete = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._commit()
        finally:
            for file, part in self._files:
                with suppress(OSError):
                    file.close()
                if part is not None:
                    part.discard()
            for directory in reversed(self._made):
                if not self._is_complete:
                    directory.remove()
                directory.close()

    def open(self, path: str | os.PathLike[str], *, make_parents: bool = False) -> BinaryIO:
        """Begin a file.

        A descriptor that is open already (``/dev/stdout``, ``/dev/fd/63``) is written
        directly, and so is a FIFO or a character device of the caller's own or root's.

        Args:
            path: Its name.
            make_parents: Make the directories that are missing on the way.

        Raises:
            OSError: It cannot be written, or must not be; ``strerror`` says why.
        """
        with find_place(path, make_parents=make_parents, made=self._made) as place:
            fd, part = _begin(place)
        file = open(fd, "wb")  # noqa: SIM115
        self._files.append((file, part))
        return file

    def _commit(self) -> None:
        for file, part in self._files:
            file.flush()
            if part is not None:
                # A full disk may show itself only here, and then nothing is replaced.
                os.fsync(file.fileno())
            file.close()
        for _, part in self._files:
            if part is not None:
                part.rename()
        self._is_complete = True


@contextmanager
def new_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Write one file; see :meth:`NewFiles.open`.

    Raises:
        OSError: It cannot be written; what was there before still is.
    """
    with NewFiles() as files:
        yield files.open(path)


def put_file(directory_fd: int, name: str, content: bytes) -> None:
    """Put a file into a directory, in place of whatever has its name.

    Raises:
        OSError: It cannot be written; what was there before still is.
    """
    fd, part = new_part(directory_fd)
    try:
        with open(fd, "wb") as file:
            file.write(content)
        os.rename(part, name, src_dir_fd=directory_fd, dst_dir_fd=directory_fd)
    except BaseException:
        with suppress(OSError):
            os.unlink(part, dir_fd=directory_fd)
        raise


def check_new_file(path: str | os.PathLike[str]) -> None:
    """See beforehand that :func:`new_file` has a chance.

    Raises:
        OSError: It has none; ``strerror`` says why.
    """
    with find_place(path) as place:
        if place.open_already is not None:
            os.fstat(place.open_already)
            return
        if not _refuse_odd(place) and not os.access(".", os.W_OK, dir_fd=place.directory_fd):
            raise PermissionError(errno.EACCES, "no permission to write to its directory")


def in_directory(path: Path, name: str) -> Path:
    """Complete a path that names a directory.

    Raises:
        OSError: It cannot be looked at.
    """
    with suppress(FileNotFoundError), find_place(path) as place:
        return path / name if place.is_directory else path
    return path


def is_capture_at(place: Place) -> bool:
    """Whether the regular file at a place is a capture, by its first bytes."""
    try:
        # Through the descriptor: what has its name now may be a FIFO.
        fd = os.open(f"/proc/self/fd/{place.found_fd}", _READ)
    except OSError:
        return False
    with open(fd, "rb") as file:
        return is_capture(file.read(1 << 16))


def new_part(directory_fd: int) -> tuple[int, str]:
    """Make a file of no particular name in a directory, for its owner alone.

    Returns:
        A descriptor for writing and reading, and the name.

    Raises:
        OSError: It cannot be made.
    """
    name = f".zomtrace-{secrets.token_hex(8)}.part"
    return os.open(name, _NEW, _MODE, dir_fd=directory_fd), name


@dataclass(slots=True)
class _Part:
    """A file on its way to its name."""

    directory_fd: int
    part_name: str
    name: str
    is_done: bool = False

    def rename(self) -> None:
        os.rename(
            self.part_name, self.name, src_dir_fd=self.directory_fd, dst_dir_fd=self.directory_fd
        )
        self.is_done = True

    def discard(self) -> None:
        """Remove what has not got its name, and let go of the directory."""
        if not self.is_done:
            with suppress(OSError):
                os.unlink(self.part_name, dir_fd=self.directory_fd)
        os.close(self.directory_fd)


def _begin(place: Place) -> tuple[int, _Part | None]:
    if place.open_already is not None:
        if place.open_already == 1:
            sys.stdout.flush()
        return os.dup(place.open_already), None
    if _refuse_odd(place):
        # Through the descriptor: it is what was looked at, whatever has its name now.
        flags = os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC
        return os.open(f"/proc/self/fd/{place.found_fd}", flags), None
    if place.is_file and is_capture_at(place):
        raise FileExistsError(errno.EEXIST, "it is a capture, which only a new capture may replace")
    directory_fd = os.dup(place.directory_fd)
    try:
        fd, name = new_part(directory_fd)
    except OSError:
        os.close(directory_fd)
        raise
    return fd, _Part(directory_fd, name, place.name)


def _refuse_odd(place: Place) -> bool:
    """Whether a place is a FIFO or a device to be written as it is.

    Raises:
        OSError: It must not be written, or replaced, at all.
    """
    found = place.found
    if found is None or place.is_file:
        return False
    if place.is_directory:
        raise IsADirectoryError(errno.EISDIR, "it is a directory: name a file in it")
    if stat.S_ISFIFO(found.st_mode):
        refuse_other_owner(found, "a FIFO")
        return True
    if stat.S_ISCHR(found.st_mode):
        refuse_other_owner(found, "a device")
        return True
    raise OSError(errno.EINVAL, "it is not a regular file")
