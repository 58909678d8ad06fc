"""Paths walked so that no other user decides where they lead.

Root writes where other users can: in ``/tmp``, in a home directory, in a shared
spool. A symbolic link that another user put on the way would send the file
elsewhere, and between a look at a path and its use the path can change. So a path is
walked once, component by component, each opened relative to the one before; what
comes of it is a directory held open and a last name in it, and everything further is
done with those two. A file system that another user serves (FUSE) is not entered: that
user would see what is written, and could let us wait for ever.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from tracer.trust.walk import refuse_foreign_mount

_MAX_LINKS = 40
_COMPONENT = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_ALREADY = re.compile(r"/(?:proc/(?:self|thread-self|[0-9]+)/fd/([0-9]{1,9}))", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """The end of a path.

    Args:
        directory_fd: The directory, opened with O_PATH.
        name: The last name, which is no symbolic link.
        found: What has that name, or None.
        found_fd: The same opened with O_PATH, or -1.
        open_already: The descriptor of ours that the path stands for
            (``/dev/stdout``, ``/dev/fd/63``), or None; the rest means nothing then.
    """

    directory_fd: int
    name: str
    found: os.stat_result | None
    found_fd: int = -1
    open_already: int | None = None

    @property
    def is_directory(self) -> bool:
        """Whether there is a directory of that name."""
        return self.found is not None and stat.S_ISDIR(self.found.st_mode)

    @property
    def is_file(self) -> bool:
        """Whether there is a regular file of that name."""
        return self.found is not None and stat.S_ISREG(self.found.st_mode)


@dataclass(frozen=True, slots=True)
class MadeDirectory:
    """A directory that was made on the way.

    Args:
        parent_fd: The one it is in, opened with O_PATH.
        name: Its name there.
    """

    parent_fd: int
    name: str

    def remove(self) -> None:
        """Remove it, unless something is in it."""
        with suppress(OSError):
            os.rmdir(self.name, dir_fd=self.parent_fd)

    def close(self) -> None:
        """Let go of it."""
        os.close(self.parent_fd)


@contextmanager
def find_place(
    path: str | os.PathLike[str],
    *,
    make_parents: bool = False,
    mode: int = 0o777,
    made: list[MadeDirectory] | None = None,
) -> Iterator[Place]:
    """Walk a path to its last name, which need not be there.

    Symbolic links are followed where they belong to the caller or to root.

    Args:
        path: Where to.
        make_parents: Make the directories that are missing on the way.
        mode: Of those.
        made: Gets those, in the order they were made; the caller closes them.

    Raises:
        OSError: A directory is missing, or cannot be passed; or a link on the way
            is another user's, or a file system that one serves. ``strerror`` says so.
    """
    walk = _Walk(os.fspath(path), make_parents=make_parents, mode=mode, made=made)
    try:
        yield walk.place()
    finally:
        walk.close()


@contextmanager
def open_directory(
    path: str | os.PathLike[str], *, make: bool = False, mode: int = 0o777
) -> Iterator[int]:
    """Walk a path to a directory.

    Args:
        path: Where it is.
        make: Make it, and what is missing on the way.
        mode: Of what is made.

    Yields:
        A descriptor of it, open for reading its entries.

    Raises:
        OSError: As for :func:`find_place`, or it is no directory.
    """
    with find_place(os.path.join(path, "."), make_parents=make, mode=mode) as place:
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place.directory_fd)
        try:
            yield fd
        finally:
            os.close(fd)


def refuse_other_owner(found: os.stat_result, what: str) -> None:
    """Refuse what belongs to neither the caller nor root.

    Raises:
        PermissionError: It does not.
    """
    if found.st_uid not in (0, os.geteuid()):
        raise PermissionError(
            errno.EACCES, f"{what} of another user (uid {found.st_uid}) is not followed"
        )


class _Walk:
    """One walk; holds at most two descriptors."""

    def __init__(
        self, path: str, *, make_parents: bool, mode: int, made: list[MadeDirectory] | None
    ) -> None:
        if not path:
            raise FileNotFoundError(errno.ENOENT, "the path is empty")
        self._make_parents = make_parents
        self._mode = mode
        self._made = made
        self._links = 0
        self._open_already: int | None = None
        self._directory_fd = self._found_fd = -1
        self._parts: deque[str] = deque()
        try:
            self._begin(path)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close what is open."""
        for fd in (self._directory_fd, self._found_fd):
            if fd >= 0:
                os.close(fd)
        self._directory_fd = self._found_fd = -1

    def place(self) -> Place:
        """Walk to the end."""
        while self._open_already is None and self._parts:
            part = self._parts.popleft()
            is_last = not self._parts
            if part == ".":
                continue
            found_fd = self._open_component(part, is_last=is_last)
            if found_fd < 0:
                return Place(self._directory_fd, part, None)
            try:
                # Without /proc the mounts are unknown.
                with suppress(FileNotFoundError):
                    refuse_foreign_mount(found_fd, part, self._directory_fd, is_local=False)
                found = os.fstat(found_fd)
            except BaseException:
                os.close(found_fd)
                raise
            if stat.S_ISLNK(found.st_mode):
                self._follow(found_fd, found, part)
            elif is_last:
                self._found_fd = found_fd
                return Place(self._directory_fd, part, found, found_fd)
            else:
                self._enter(found_fd, found)
        if self._open_already is not None:
            return Place(-1, "", None, open_already=self._open_already)
        return Place(self._directory_fd, ".", os.fstat(self._directory_fd))

    def _begin(self, path: str) -> None:
        """Put a path before what is left to walk."""
        rest = "/".join((path, *self._parts))
        match = _OPEN_ALREADY.fullmatch(rest)
        if match is not None and self._is_ours(rest):
            self._open_already = int(match[1])
            return
        if path.startswith("/") or self._directory_fd < 0:
            start = "/" if path.startswith("/") else "."
            fd = os.open(start, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            if self._directory_fd >= 0:
                os.close(self._directory_fd)
            self._directory_fd = fd
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if path.endswith(("/", "/.")) or path == ".":
            # What has a slash behind it is a directory: walk into it.
            parts.append(".")
        self._parts.extendleft(reversed(parts))

    def _is_ours(self, path: str) -> bool:
        owner = path.split("/")[2]
        return owner in ("self", "thread-self", str(os.getpid()))

    def _open_component(self, part: str, *, is_last: bool) -> int:
        """Open one name; -1 where the last one is not there."""
        try:
            return os.open(part, _COMPONENT, dir_fd=self._directory_fd)
        except FileNotFoundError:
            if is_last:
                return -1
            if not self._make_parents:
                raise
        with suppress(FileExistsError):
            os.mkdir(part, self._mode, dir_fd=self._directory_fd)
            if self._made is not None:
                self._made.append(MadeDirectory(os.dup(self._directory_fd), part))
        return os.open(part, _COMPONENT, dir_fd=self._directory_fd)

    def _follow(self, link_fd: int, link: os.stat_result, part: str) -> None:
        try:
            self._links += 1
            if self._links > _MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            refuse_other_owner(link, f"the symbolic link {part}")
            target = os.readlink("", dir_fd=link_fd)
        finally:
            os.close(link_fd)
        self._begin(target)

    def _enter(self, fd: int, found: os.stat_result) -> None:
        if not stat.S_ISDIR(found.st_mode):
            os.close(fd)
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        os.close(self._directory_fd)
        self._directory_fd = fd
