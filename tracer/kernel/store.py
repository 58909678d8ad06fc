"""Keeps compiled programs between runs: to compile them takes longer than all the rest.

Nothing is trusted for being there: a set is found again only under a digest of
everything it was made from, in a file that no other user could have written, and
the kernel's verifier looks at it as at any other.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import json
import os
import platform
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tracer.errors import UsageError
from tracer.files.outfile import put_file
from tracer.files.place import open_directory
from tracer.kernel.btf import BTF_PATH
from tracer.kernel.image import ProgramCode, ProgramImage
from tracer.kernel.maps import MapShape
from tracer.trust.walk import PathRefusedError, walk

DIRECTORY_VARIABLE = "ZOMTRACE_CACHE"
"""Names another directory for compiled programs; empty: none are kept."""

_ROOTS_DIRECTORY = Path("/var/cache/zomtrace/programs")
_MAKERS = ("btf.py", "image.py", "load_child.py", "plan.py", "view.py")
_KEPT_SETS = 12
_MAX_BYTES = 64 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class StoredSet:
    """What was compiled before.

    Args:
        features: As :class:`~tracer.kernel.view.KernelFeatures`, functions as a list.
        image: The programs and their maps.
    """

    features: dict[str, Any]
    image: ProgramImage


@dataclass(frozen=True, slots=True)
class ProgramStore:
    """One directory of compiled programs.

    Args:
        directory: Made when something is kept; for its owner alone.
    """

    directory: Path

    def find(self, digest: str) -> StoredSet | None:
        """Return the set compiled under a digest, or None.

        What is damaged, of something else or could be another user's doing is as none:
        it is compiled anew, and replaced.
        """
        try:
            with open_directory(self.directory) as directory_fd:
                self._check_ours(directory_fd)
                fd = os.open(self._name(digest), _READ, dir_fd=directory_fd)
            with open(fd, "rb") as file:
                self._check_ours(fd)
                return _parse(digest, file.read(_MAX_BYTES))
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return None

    def keep(self, digest: str, stored: StoredSet) -> None:
        """Keep a set; the oldest go when there are many.

        Raises:
            OSError: The directory cannot be written to, or others can write there too.
        """
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        with open_directory(self.directory, make=True, mode=0o700) as directory_fd:
            self._check_ours(directory_fd)
            put_file(directory_fd, self._name(digest), _render(digest, stored))
            self._drop_oldest(directory_fd)

    def _name(self, digest: str) -> str:
        return f"{digest}.json"

    def _check_ours(self, fd: int) -> None:
        """Check that only this user, or root, can have written it.

        Raises:
            PermissionError: Another user can.
        """
        found = os.fstat(fd)
        if found.st_uid not in {0, os.geteuid()} or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(
                errno.EPERM, f"{self.directory}: users other than its owner can write there"
            )
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            raise PermissionError(
                errno.EPERM, f"{self.directory}: it contains something other than files"
            )

    def _drop_oldest(self, directory_fd: int) -> None:
        names = [name for name in os.listdir(directory_fd) if name.endswith(".json")]
        with contextlib.suppress(OSError):
            names.sort(key=lambda name: _changed_at(name, directory_fd))
            for name in names[:-_KEPT_SETS]:
                os.unlink(name, dir_fd=directory_fd)


def users_store() -> ProgramStore | None:
    """The store of the current user, or None if none is wanted.

    Raises:
        UsageError: The environment names a directory that another user can write to.
    """
    named = os.environ.get(DIRECTORY_VARIABLE)
    if named is not None:
        if named:
            _check_place(Path(named))
        return ProgramStore(Path(named)) if named else None
    if os.geteuid() == 0:
        # Where others can write, on a host set up like that, nothing is kept.
        return ProgramStore(_ROOTS_DIRECTORY) if _problem(_ROOTS_DIRECTORY) is None else None
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return ProgramStore(Path(base) / "zomtrace" / "programs")


def _check_place(directory: Path) -> None:
    problem = _problem(directory)
    if problem is not None:
        raise UsageError(
            f"{DIRECTORY_VARIABLE} names {str(directory)[:200]!r}: {problem}",
            hint="programs are loaded from there: name a directory that only you can write to,"
            " by its absolute path",
        )


def _problem(directory: Path) -> str | None:
    """Why no programs can be kept there, by the part of it that exists; None: they can."""
    if not directory.is_absolute():
        return "it is not an absolute path"
    for place in (directory, *directory.parents):
        try:
            with walk(place) as found:
                return (
                    None if found.owner_uid is None else f"user {found.owner_uid} can write there"
                )
        except PathRefusedError as error:
            return error.reason
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            return str(error)
    return None


def digest_of(directory: Path, options: Mapping[str, Any]) -> str | None:
    """Digest everything a set of programs is made from.

    That is the kernel's types (not its version: a kernel may be built again),
    our sources, what makes the C text of them, BCC's release, and the options.

    Args:
        directory: Where the C sources are.
        options: What is passed to the compiling process.

    Returns:
        Hexadecimal digits, or None where the kernel has no types.
    """
    digest = hashlib.sha256()
    try:
        digest.update(Path(BTF_PATH).read_bytes())
    except OSError:
        return None
    sources = [*sorted(directory.glob("*.[ch]")), *sorted((directory / "kernel-tree").rglob("*"))]
    makers = (Path(__file__).with_name(name) for name in _MAKERS)
    for path in (*sources, *makers):
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    digest.update(platform.machine().encode() + b"\0" + _bcc_release())
    digest.update(json.dumps(dict(options), sort_keys=True).encode())
    return digest.hexdigest()


def _bcc_release() -> bytes:
    """BCC's own version file, without importing what belongs to it."""
    from importlib.util import find_spec

    spec = find_spec("bcc")
    if spec is None or spec.origin is None:
        return b""
    with contextlib.suppress(OSError):
        return Path(spec.origin).with_name("version.py").read_bytes()
    return b""


def _changed_at(name: str, directory_fd: int) -> float:
    return os.stat(name, dir_fd=directory_fd, follow_symlinks=False).st_mtime


def _render(digest: str, stored: StoredSet) -> bytes:
    body = json.dumps(_document(stored)).encode()
    return _seal(digest, body) + b"\n" + body


def _seal(digest: str, body: bytes) -> bytes:
    """The seal: it reveals a set that is damaged or was stored under another digest."""
    return hashlib.sha256(digest.encode() + b"\0" + body).hexdigest().encode()


def _document(stored: StoredSet) -> dict[str, Any]:
    return {
        "features": stored.features,
        "maps": {name: asdict(shape) for name, shape in stored.image.maps.items()},
        "programs": {
            name: {
                "kind": program.kind,
                "code": base64.b64encode(program.code).decode(),
                "maps": list(program.maps.items()),
                "attach_btf_id": program.attach_btf_id,
            }
            for name, program in stored.image.programs.items()
        },
    }


def _parse(digest: str, content: bytes) -> StoredSet:
    sealed, _, body = content.partition(b"\n")
    if sealed != _seal(digest, body):
        raise ValueError("the stored set was modified")
    document = json.loads(body)
    return StoredSet(
        features=document["features"],
        image=ProgramImage(
            maps={name: MapShape(**shape) for name, shape in document["maps"].items()},
            programs={
                name: ProgramCode(
                    kind=program["kind"],
                    code=base64.b64decode(program["code"]),
                    maps={int(number): map_name for number, map_name in program["maps"]},
                    attach_btf_id=program["attach_btf_id"],
                )
                for name, program in document["programs"].items()
            },
        ),
    )
