"""BPF programs that guests compiled, handed on to the next ones.

An emulated guest takes a quarter of a minute to compile them. What it keeps for
its own next run (tracer/kernel/store.py) comes back with its report, and goes
into every later guest's store, which looks by a digest of the kernel's types and
of all the sources: where one of them changed nothing is found, and the guest
compiles.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from pathlib import Path

from matrix.cache import cache_home
from matrix.errors import GuestError

_NAME = re.compile(r"[0-9a-f]{64}\.json")
_KEPT = 24
"""Two sets a kernel are in use (cgroup v2 and v1); the rest is for going back."""


def _directory() -> Path:
    return cache_home() / "guest-programs"


def kept_programs() -> list[Path]:
    """List what earlier guests compiled."""
    return sorted(_directory().glob("*.json"))


def keep_program(line: str) -> None:
    """Keep what a guest reported: a file's name and its contents in base64.

    Raises:
        GuestError: It is neither.
    """
    name, _, text = line.partition(" ")
    if not _NAME.fullmatch(name):
        raise GuestError(f"a guest reported programs under the name {name!r}")
    try:
        contents = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise GuestError(f"a guest reported programs that are no base64: {error}") from error
    directory = _directory()
    directory.mkdir(parents=True, exist_ok=True)
    new = directory / f"{name}.{os.getpid()}"
    new.write_bytes(contents)
    new.rename(directory / name)
    by_age = sorted(kept_programs(), key=lambda path: path.stat().st_mtime)
    for path in by_age[:-_KEPT]:
        path.unlink(missing_ok=True)
