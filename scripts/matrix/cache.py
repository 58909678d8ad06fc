"""What was built once and can be used again, kept outside the checkout.

An entry is a directory named after its kind and a hash of its definition. It
is built under a lock in a temporary directory and renamed into place, so that
it is either whole or absent, whoever builds at the same time.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_KEPT_PER_NAME = 2


def cache_home() -> Path:
    """Say where built things are kept."""
    named = os.environ.get("XDG_CACHE_HOME")
    if named:
        base = Path(named)
    elif os.geteuid() == 0:
        base = Path("/var/cache")
    else:
        base = Path.home() / ".cache"
    return base / "zomtrace"


def source_hash(*sources: Path) -> str:
    """Hash the files that build an entry, so that a new builder builds anew."""
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()


def say(text: str) -> None:
    """Tell the person waiting; stdout belongs to results."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def cached(name: str, definition: Mapping[str, object], build: Callable[[Path], None]) -> Path:
    """Return the directory of an entry, building it if it is not there.

    Args:
        name: What the entry is, for people and for the directory's name.
        definition: Everything the result depends on; JSON types only.
        build: Fills the empty directory it is given.
    """
    text = json.dumps(definition, sort_keys=True)
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    home = cache_home()
    entry = home / f"{name}-{key}"
    with locked(home / f"{name}.lock"):
        if entry.is_dir():
            os.utime(entry)
            return entry
        say(f"building {name}")
        begin = time.monotonic()
        work = Path(tempfile.mkdtemp(prefix=f"{name}.new-", dir=home))
        try:
            build(work)
            (work / "definition.json").write_text(text + "\n", encoding="utf-8")
            work.chmod(0o755)
            work.rename(entry)
        finally:
            if work.is_dir():
                shutil.rmtree(work)
        say(f"built {name} in {time.monotonic() - begin:.0f} s")
        _drop_old(home, name)
    return entry


def _drop_old(home: Path, name: str) -> None:
    # A guest that still runs from a dropped image keeps it open: removing the
    # name takes nothing from under it.
    entries = [
        path
        for path in home.glob(f"{name}-*")
        if path.is_dir() and len(path.name) == len(name) + 17
    ]
    entries.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in entries[_KEPT_PER_NAME:]:
        shutil.rmtree(path)
