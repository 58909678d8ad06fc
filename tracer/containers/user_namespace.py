"""Which user's a process is, by the one thing it cannot pretend: its user namespace."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator

from tracer.procfs.patience import ask_for

_NS_GET_PARENT = 0xB702
_NS_GET_OWNER_UID = 0xB704
"""ioctls of linux/nsfs.h: the namespace around this one, and who made this one."""
_MOST_LEVELS = 33
"""The kernel nests no deeper (create_user_ns)."""


def _overflow_uid() -> int:
    with open("/proc/sys/kernel/overflowuid", encoding="ascii") as file:
        return int(file.read())


def is_in_namespace_of(process_fd: int, uid: int, *, owner_uid: int | None) -> bool:
    """Whether a process is in a user namespace that a user made, or in one below it.

    Over such a process its user has every capability, so that to believe the user
    about it gives away nothing.

    Args:
        process_fd: Its directory in /proc.
        uid: The user, as we number users.
        owner_uid: Who speaks of the process, see :func:`tracer.procfs.patience.ask_for`.

    Raises:
        PermissionError: We may not look.
        FileNotFoundError: The process is gone.
        NoAnswerError: It cannot be read.
    """
    if uid == _overflow_uid():
        # Users that our own user namespace does not map look the same.
        return False
    return uid in _owners(process_fd, owner_uid)


def namespace_maker(process_fd: int, *, owner_uid: int | None) -> int | None:
    """Who made the user namespace a process is in, the outermost of those below ours.

    Args:
        process_fd: Its directory in /proc.
        owner_uid: Who speaks of the process, see :func:`tracer.procfs.patience.ask_for`.

    Returns:
        None where the process is in no user namespace but our own.

    Raises:
        PermissionError: We may not look.
        FileNotFoundError: The process is gone.
        NoAnswerError: Its files in /proc cannot be read.
    """
    # The last one is of our own namespace.
    below = list(_owners(process_fd, owner_uid))[:-1]
    return below[-1] if below and below[-1] != _overflow_uid() else None


def _owners(process_fd: int, owner_uid: int | None) -> Iterator[int]:
    """Who made a process's user namespace, and each one around it up to our own."""
    fd = ask_for(
        owner_uid, lambda: os.open("ns/user", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process_fd)
    )
    for _ in range(_MOST_LEVELS):
        try:
            yield int.from_bytes(fcntl.ioctl(fd, _NS_GET_OWNER_UID, bytes(4)), "little")
            parent = fcntl.ioctl(fd, _NS_GET_PARENT)
        except OSError:
            # EPERM: this one is our own, or one that we are not in.
            return
        finally:
            os.close(fd)
        fd = parent
    os.close(fd)
