"""The work tree as a disk: a plain tar that a guest unpacks."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

from matrix.catalogue import CHECKOUT
from matrix.debian import run
from matrix.errors import BuildError
from matrix.pythonimage import PYTHON_VERSION

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


def _compile_workloads(sources: Path, target: Path) -> None:
    """Compile the tests' C programs: a guest has no compiler."""
    target.mkdir(parents=True)
    for source in sorted(sources.glob("*.c")):
        run(
            ["gcc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-static", "-pthread",
             "-o", target / source.stem, source]
        )  # fmt: skip


def _compile_python(tree: Path, python: Path) -> None:
    """Write the byte code a guest's Python would, pytest's own included.

    An emulated guest takes half a minute for what takes a second here. Where
    the versions differ it finds nothing it can use, and compiles by itself.
    """
    if sys.version_info[:2] != PYTHON_VERSION:
        return
    run([sys.executable, "-m", "compileall", "-q", tree / "tracer"])
    if python.exists():
        run(
            # The byte code is what is wanted, whatever the caller's Python is told.
            ["env", "-u", "PYTHONDONTWRITEBYTECODE", python, "-m", "pytest", "-q",
             "--collect-only", "-p", "no:cacheprovider", "-p", "tests.kernel.guest",
             "tests/kernel", "tests/live"],
            cwd=tree,
        )  # fmt: skip


def checkout_tar(target: Path, checkout: Path = CHECKOUT) -> None:
    """Write the work tree, changes and new files included, to ``target``.

    The commands pyproject.toml declares come along under ``.guest/bin``, the
    tests' C programs under ``.guest/workloads``: a guest has the source and its
    dependencies, neither an installed package nor a compiler.
    """
    with tempfile.TemporaryDirectory(prefix="zomtrace-staged-") as name:
        tree = Path(name)
        for file in _listed(checkout):
            source = checkout / file
            if source.is_symlink() or source.is_file():
                staged = tree / file
                staged.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, staged, follow_symlinks=False)
        commands = tree / ".guest" / "bin"
        commands.mkdir(parents=True)
        for command, text in _commands(checkout).items():
            (commands / command).write_text(text, encoding="utf-8")
            (commands / command).chmod(0o755)
        _compile_workloads(tree / "tests" / "workloads", tree / ".guest" / "workloads")
        _compile_python(tree, checkout / ".venv" / "bin" / "python")

        def owned(entry: tarfile.TarInfo) -> tarfile.TarInfo:
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = "root"
            return entry

        with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
            archive.add(tree, arcname=".", filter=owned)
