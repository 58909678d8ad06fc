"""Keeps compiled programs between runs: to compile them takes longer than all the rest.

Nothing is trusted for being there: a set is found again only under a digest of
everything it was made from, in a file that nobody else could have written, and
the kernel's verifier looks at it as at any other.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import platform
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tracer.kernel.btf import BTF_PATH
from tracer.kernel.image import ProgramCode, ProgramImage
from tracer.kernel.maps import MapShape

DIRECTORY_VARIABLE = "ZOMTRACE_CACHE"
"""Names another directory for compiled programs; empty: none are kept."""

_ROOTS_DIRECTORY = Path("/var/cache/zomtrace/programs")
_MAKERS = ("btf.py", "image.py", "load_child.py", "plan.py", "view.py")
_KEPT_SETS = 12


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
        """Return the set compiled under a digest, or None."""
        try:
            with self._path(digest).open("rb") as file:
                if not self._is_ours(file.fileno()):
                    return None
                return _parse(json.load(file))
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None

    def keep(self, digest: str, stored: StoredSet) -> None:
        """Keep a set; the oldest go when there are many.

        Raises:
            OSError: The directory cannot be written to.
        """
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        self.directory.mkdir(mode=0o700, exist_ok=True)
        fd, name = tempfile.mkstemp(dir=self.directory)
        try:
            with os.fdopen(fd, "w", encoding="ascii") as file:
                json.dump(_render(stored), file)
            Path(name).rename(self._path(digest))
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
        self._drop_oldest()

    def _path(self, digest: str) -> Path:
        return self.directory / f"{digest}.json"

    def _is_ours(self, fd: int) -> bool:
        """Whether nobody but us, or root, can have written it."""
        return all(
            entry.st_uid in {0, os.geteuid()} and not entry.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            for entry in (os.fstat(fd), self.directory.stat())
        )

    def _drop_oldest(self) -> None:
        with contextlib.suppress(OSError):
            by_age = sorted(self.directory.glob("*.json"), key=lambda path: path.stat().st_mtime)
            for path in by_age[:-_KEPT_SETS]:
                path.unlink()


def users_store() -> ProgramStore | None:
    """The store of whoever runs this, or None if none is wanted."""
    named = os.environ.get(DIRECTORY_VARIABLE)
    if named is not None:
        return ProgramStore(Path(named)) if named else None
    if os.geteuid() == 0:
        return ProgramStore(_ROOTS_DIRECTORY)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return ProgramStore(Path(base) / "zomtrace" / "programs")


def digest_of(directory: Path, options: Mapping[str, Any]) -> str | None:
    """Digest everything a set of programs is made from.

    That is the kernel's types (not its version: a kernel may be built again),
    our sources, what makes the C text of them, BCC's release, and the options.

    Args:
        directory: Where the C sources are.
        options: What the compiling process is told.

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


def _render(stored: StoredSet) -> dict[str, Any]:
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


def _parse(document: dict[str, Any]) -> StoredSet:
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
