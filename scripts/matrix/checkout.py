"""The work tree as a disk: a plain tar that a guest unpacks."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
import tomllib
from pathlib import Path

from matrix.catalogue import CHECKOUT
from matrix.debian import run
from matrix.errors import BuildError

_WRAPPER = """#!/usr/bin/python3
import sys

sys.path.insert(0, "/zomtrace")
from {module} import {function}

sys.exit({function}())
"""


def _listed(checkout: Path) -> list[str]:
    try:
        done = subprocess.run(
            ["git", "-c", "safe.directory=*", "-C", str(checkout), "ls-files", "-z",
             "--cached", "--others", "--exclude-standard"],
            capture_output=True,
            check=False,
        )  # fmt: skip
    except OSError as error:
        raise BuildError(f"git: {error.strerror}", hint="install git") from error
    if done.returncode != 0:
        raise BuildError(f"{checkout} is no git checkout: {done.stderr.decode().strip()}")
    return sorted({name for name in done.stdout.decode().split("\0") if name})


def _commands(checkout: Path) -> dict[str, str]:
    data = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
    commands = {}
    for name, entry in data["project"]["scripts"].items():
        module, _, function = entry.partition(":")
        commands[name] = _WRAPPER.format(module=module, function=function)
    return commands


def _compile_workloads(sources: Path, target: Path) -> list[Path]:
    """Compile the tests' C programs: a guest has no compiler."""
    binaries = []
    for source in sorted(sources.glob("*.c")):
        binary = target / source.stem
        run(
            ["gcc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-static", "-pthread",
             "-o", binary, source]
        )  # fmt: skip
        binaries.append(binary)
    return binaries


def checkout_tar(target: Path, checkout: Path = CHECKOUT) -> None:
    """Write the work tree, changes and new files included, to ``target``.

    The commands pyproject.toml declares come along under ``.guest/bin``, the
    tests' C programs under ``.guest/workloads``: a guest has the source and its
    dependencies, neither an installed package nor a compiler.
    """
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:

        def owned(entry: tarfile.TarInfo) -> tarfile.TarInfo:
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = "root"
            return entry

        for name in _listed(checkout):
            path = checkout / name
            if path.is_symlink() or path.is_file():
                archive.add(path, arcname=name, recursive=False, filter=owned)
        with tempfile.TemporaryDirectory(prefix="zomtrace-workloads-") as work:
            for binary in _compile_workloads(checkout / "tests" / "workloads", Path(work)):
                archive.add(binary, arcname=f".guest/workloads/{binary.name}", filter=owned)
        for name, text in _commands(checkout).items():
            entry = tarfile.TarInfo(f".guest/bin/{name}")
            entry.mode = 0o755
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
