"""Files that are their owner's alone, whole or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_MODE = 0o600


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file as captures are written: mode 0600, as names of commands are in it.

    It gets its name, in place of an earlier one, once all of it is written; until
    then there is ``.NAME.part`` beside it. A device, a pipe or what is open already
    (``/dev/stdout``) is written directly.

    Args:
        path: Where to; a symbolic link is followed.

    Raises:
        OSError: It cannot be written; what was there before still is.
    """
    is_open_already = os.fspath(path.absolute()).startswith(("/dev/fd/", "/dev/std", "/proc/"))
    if is_open_already or (path.exists() and not path.is_file()):
        with path.open("wb") as file:
            yield file
        return
    place = Path(os.path.realpath(path))
    part = place.with_name(f".{place.name}.part")
    part.unlink(missing_ok=True)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    try:
        with open(fd, "wb") as file:
            yield file
        part.replace(place)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
