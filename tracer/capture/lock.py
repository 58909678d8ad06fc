"""How a recorder says that it still writes a file: by a lock on it.

The kernel takes the lock away when the recorder ends, however it does.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def lock_for_writing(fd: int) -> None:
    """Lock a new file; on file systems without locks there is none."""
    with suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_being_written(name: str, directory_fd: int) -> bool:
    """Whether a recorder writes a file now."""
    try:
        fd = os.open(name, _READ, dir_fd=directory_fd)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno == errno.EWOULDBLOCK
    else:
        return False
    finally:
        os.close(fd)
