"""Who can write at a path: asked before root reads, runs or keeps anything there.

A path is walked one component at a time, by descriptor, so that what was looked
at is what is used. Links are followed where root made them in a place of root's;
links of other users are not. A file system that another user serves (FUSE) is not
entered at all: its owner could let us wait for ever.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_MOST_LINKS = 16
_MOST_COMPONENTS = 128
_REMOTE = frozenset({"autofs", "nfs", "nfs4", "cifs", "smb3", "afs", "ceph", "lustre", "coda"})
"""File systems that answer when another machine does."""


class PathRefusedError(OSError):
    """A path that is not to be believed; the message says why."""

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(errno.EACCES, reason, str(path))
        self.reason = reason


@dataclass(slots=True)
class OwnedPath:
    """A file or directory that was walked to; close it, or use it in ``with``.

    Args:
        fd: Its descriptor (O_PATH).
        facts: Its fstat.
        owner_uid: Who besides root and ourselves decides what is there; None: no one.
    """

    fd: int
    facts: os.stat_result
    owner_uid: int | None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def open_path(self) -> str:
        """A path to just this one, whatever has its name now."""
        return f"/proc/self/fd/{self.fd}"

    def close(self) -> None:
        """Let go of it."""
        os.close(self.fd)

    def enter(self, name: str) -> OwnedPath:
        """Open one entry of this directory, following no link.

        Raises:
            PathRefusedError: It is a link, a foreign file system, or of a third party.
            OSError: It is not there.
        """
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.fd)
        try:
            refuse_foreign_mount(fd, name, self.fd, is_local=self.owner_uid is not None)
            facts = os.fstat(fd)
            if stat.S_ISLNK(facts.st_mode):
                raise PathRefusedError(name, "it is a symbolic link")
            return OwnedPath(fd, facts, _owner_of(facts, name, self.owner_uid))
        except BaseException:
            os.close(fd)
            raise


def is_trusted_uid(uid: int) -> bool:
    """Whether what this user writes is believed without a question: root, and ourselves."""
    return uid in {0, os.geteuid()}


def walk(path: str | Path, *, is_local: bool = False) -> OwnedPath:
    """Open a file or directory and find out who can write there.

    Args:
        path: An absolute path.
        is_local: Enter no file system that another machine serves: for a path that
            another user chose. (To look a name up in an automounter mounts it.)

    Raises:
        PathRefusedError: Another user could redirect us, or it is unknown who writes there.
        OSError: It is not there.
        ValueError: It is no path (a NUL, a lone surrogate).
    """
    text = os.fspath(path)
    if not text.startswith("/"):
        raise PathRefusedError(text[:80], "it is not an absolute path")
    left = _components(text)
    links = 0
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    way = [OwnedPath(root, os.fstat(root), None)]
    try:
        while left:
            name = left.pop()
            if name == "..":
                if len(way) > 1:
                    way.pop().close()
                continue
            here = way[-1]
            fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here.fd)
            try:
                is_checked = is_local or here.owner_uid is not None
                refuse_foreign_mount(fd, text, here.fd, is_local=is_checked)
                facts = os.fstat(fd)
                if stat.S_ISLNK(facts.st_mode):
                    target = _trusted_target(fd, facts, here, text)
                    links += 1
                    if links > _MOST_LINKS:
                        raise PathRefusedError(text, "too many symbolic links")
                    if target.startswith("/"):
                        while len(way) > 1:
                            way.pop().close()
                    left += _components(target)
                    os.close(fd)
                    continue
                way.append(OwnedPath(fd, facts, _owner_of(facts, text, here.owner_uid)))
            except BaseException:
                os.close(fd)
                raise
        return way.pop()
    finally:
        for one in way:
            one.close()


def refusal(path: str | Path) -> str | None:
    """Say why root must not rely on a path, None where only root (or we) can write there."""
    try:
        with walk(path) as found:
            return None if found.owner_uid is None else f"user {found.owner_uid} can write there"
    except PathRefusedError as error:
        return error.reason
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)


def refuse_foreign_mount(fd: int, path: str, parent_fd: int, *, is_local: bool) -> None:
    """Refuse a file system that another user serves.

    Args:
        fd: What is to be entered, opened with O_PATH: that asks its server nothing yet.
        path: What to call it.
        parent_fd: The directory it is in.
        is_local: Refuse also what another machine serves.

    Raises:
        PathRefusedError: It is on one; the message says whose.
        OSError: /proc is not there.
    """
    # Before fstat, which is already a request to the one that serves the file system.
    mount_id = _mount_id(fd)
    if mount_id == _mount_id(parent_fd):
        return
    kind, server_uid = _mount(mount_id)
    if server_uid is not None and not is_trusted_uid(server_uid):
        raise PathRefusedError(path, f"user {server_uid} serves that file system ({kind})")
    if is_local and (kind in _REMOTE or server_uid is not None):
        raise PathRefusedError(path, f"it leads to another file system ({kind})")


def may_not_answer(fd: int) -> bool:
    """Whether an open file is on a file system that a program or another machine serves."""
    kind, server_uid = _mount(_mount_id(fd))
    return server_uid is not None or kind in _REMOTE


def _components(text: str) -> list[str]:
    parts = [part for part in text.split("/") if part not in {"", "."}]
    if len(parts) > _MOST_COMPONENTS:
        raise PathRefusedError(text[:80], "the path is too long")
    return parts[::-1]


def _trusted_target(fd: int, facts: os.stat_result, here: OwnedPath, text: str) -> str:
    if here.owner_uid is not None or not is_trusted_uid(facts.st_uid):
        raise PathRefusedError(text, f"a symbolic link of user {facts.st_uid}'s is in the way")
    return os.readlink("", dir_fd=fd)


def _owner_of(facts: os.stat_result, path: str, owner_uid: int | None) -> int | None:
    """Who decides what is at an entry, given who decides about its directory."""
    if not is_trusted_uid(facts.st_uid):
        if owner_uid not in {None, facts.st_uid}:
            raise PathRefusedError(
                path, f"user {facts.st_uid} owns it, but it should be user {owner_uid}'s"
            )
        return facts.st_uid
    if owner_uid is None and _others_can_write(facts):
        raise PathRefusedError(path, "users other than its owner can write there")
    return owner_uid


def _others_can_write(facts: os.stat_result) -> bool:
    if stat.S_ISSOCK(facts.st_mode):
        # To write to a socket is to connect to it.
        return False
    if stat.S_ISDIR(facts.st_mode) and facts.st_mode & stat.S_ISVTX:
        # What others make there shows their name, and what is there stays.
        return False
    by_group = facts.st_mode & stat.S_IWGRP and facts.st_gid not in {0, os.getegid()}
    return bool(by_group or facts.st_mode & stat.S_IWOTH)


def _mount_id(fd: int) -> bytes:
    with open(f"/proc/self/fdinfo/{fd}", "rb") as file:
        return next(line.split()[1] for line in file if line.startswith(b"mnt_id:"))


def _mount(mount_id: bytes) -> tuple[str, int | None]:
    """The type of a mount and, for FUSE, who serves it."""
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            if line.split(b" ", 1)[0] == mount_id:
                kind, _, options = line.partition(b" - ")[2].split(b" ", 2)
                return kind.decode("utf-8", "backslashreplace"), _server_uid(kind, options)
    # Unmounted meanwhile: unknown what that was.
    return "unknown", -1


def _server_uid(kind: bytes, options: bytes) -> int | None:
    if not kind.startswith(b"fuse") or kind == b"fusectl":
        return None
    for option in options.strip().split(b","):
        if option.startswith(b"user_id="):
            return int(option[8:])
    return -1
