"""Files of runtimes' state directories, some of which other users write."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

_LIMIT = 16 << 20


def list_directory(path: Path) -> list[str]:
    """List a directory; empty when it is not there, no directory, or not ours to read."""
    try:
        with os.scandir(path) as entries:
            return sorted(entry.name for entry in entries)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def read_text(path: Path) -> str | None:
    """Read a regular file of sane size; None for whatever else it may be.

    A state directory in /run/user is its user's: what lies there may be a pipe
    that nobody writes, or a link to somewhere.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    facts = os.fstat(fd)
    if not stat.S_ISREG(facts.st_mode) or facts.st_size > _LIMIT:
        os.close(fd)
        return None
    with os.fdopen(fd, "rb") as file:
        try:
            return file.read(_LIMIT).decode("utf-8", "replace")
        except OSError:
            return None


def read_json(path: Path) -> Any:
    """Read a JSON file the same way; None when it is gone or half-written."""
    text = read_text(path)
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def get_object(value: Any, *keys: str) -> dict[str, Any]:
    """Follow keys into JSON objects; empty where one is missing or no object."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def get_strings(value: Any) -> dict[str, str]:
    """Keep those pairs of a JSON object that are strings."""
    pairs = value.items() if isinstance(value, dict) else ()
    return {key: text for key, text in pairs if isinstance(text, str)}


def get_number(value: Any, key: str) -> int | None:
    """Get a positive whole number of a JSON object, else None."""
    number = value.get(key) if isinstance(value, dict) else None
    return number if type(number) is int and number > 0 else None
