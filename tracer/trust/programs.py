"""Which programs root runs, and with what environment: never the caller's choice."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterable, Sequence

from tracer.trust.walk import PathRefusedError, walk

DIRECTORIES = (
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
)
"""Where a program is looked for that root runs."""


class ProgramRefusedError(Exception):
    """A program is there, but others than root could have written it."""


def find_program(name: str) -> str | None:
    """Find a program that may be run with our privileges.

    For root only :data:`DIRECTORIES` count, and there only what no other user can
    write; root's PATH may come from another user. Other users' PATH is their own.

    Raises:
        ProgramRefusedError: The only one there is could be another user's work.
    """
    if os.geteuid() != 0:
        return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{':'.join(DIRECTORIES)}")
    refused = None
    for directory in DIRECTORIES:
        path = f"{directory}/{name}"
        try:
            with walk(path) as found:
                if not (stat.S_ISREG(found.facts.st_mode) and found.facts.st_mode & 0o111):
                    continue
                if found.owner_uid is None:
                    return path
                refused = refused or f"{path}: user {found.owner_uid} can write it"
        except PathRefusedError as error:
            refused = refused or f"{path}: {error.reason}"
        except OSError:
            continue
    if refused is not None:
        raise ProgramRefusedError(refused)
    return None


def find_first(commands: Iterable[tuple[str, Sequence[str]]]) -> list[str] | None:
    """Find the first of some programs.

    Args:
        commands: Names, each with its arguments.

    Returns:
        Its path and arguments; None where none of them may be run.
    """
    for name, arguments in commands:
        with contextlib.suppress(ProgramRefusedError):
            path = find_program(name)
            if path is not None:
                return [path, *arguments]
    return None


def clean_environment() -> dict[str, str]:
    """The environment of a program that runs with our privileges.

    Nothing of the caller's is in it: no PATH, LD_*, PYTHON*, BCC_*, XDG_*, DOCKER_*.
    """
    if os.geteuid() != 0:
        home = os.environ.get("HOME", "/")
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in {"PATH", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"}
        }
        return {"PATH": ":".join(DIRECTORIES), **kept, "HOME": home, "LANG": "C.UTF-8"}
    return {"PATH": ":".join(DIRECTORIES), "HOME": "/root", "LANG": "C.UTF-8"}
