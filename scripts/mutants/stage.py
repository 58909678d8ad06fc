"""The copy of the checkout in which mutants are made and tested."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAGE = ROOT / ".mutants"
"""Kept from one run to the next: mutmut leaves its results in it, and goes on from them."""
_INTERRUPTED = 2


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mutant of one function.

    Args:
        name: As mutmut calls it: ``tracer.wire.sorter.x_merge__mutmut_3``.
        path: The file it is of.
        exit_code: How its tests ended; None = they have not been run.
    """

    name: str
    path: Path
    exit_code: int | None


def refresh() -> None:
    """Make the copy what the checkout is; files that have not changed keep their time."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    wanted = {name for name in listed.split("\0") if name and (ROOT / name).is_file()}
    for name in wanted:
        source, copy = ROOT / name, STAGE / name
        if not copy.exists() or source.stat().st_mtime_ns != copy.stat().st_mtime_ns:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
    for directory, _, files in os.walk(STAGE):
        path = Path(directory)
        if "mutants" in path.relative_to(STAGE).parts[:1]:
            continue
        for file in files:
            if str((path / file).relative_to(STAGE)) not in wanted:
                (path / file).unlink()
    # mutmut copies what is new into its own directory and takes nothing away there.
    shutil.rmtree(STAGE / "mutants/tests", ignore_errors=True)


def make_mutants(jobs: int) -> None:
    """Write the mutants of every file that is new or has changed.

    mutmut has no command for this alone, and a sample wants their names before any is tested.
    """
    from mutmut import __main__ as mutmut

    (STAGE / "mutants").mkdir(exist_ok=True)
    mutmut.set_mutant_under_test("mutant_generation")
    with open(os.devnull, "w") as nowhere:
        saved, mutmut.sys.stdout = mutmut.sys.stdout, nowhere
        try:
            mutmut.copy_src_dir()
            mutmut.copy_also_copy_files()
            mutmut.setup_source_paths()
            mutmut.create_mutants(jobs)
        finally:
            mutmut.sys.stdout = saved


def mutants_below(paths: Iterable[Path]) -> list[Mutant]:
    """Every mutant of the files named, or below the directories named, in order."""
    found = []
    for path in paths:
        source = STAGE / path
        files = sorted(source.rglob("*.py")) if source.is_dir() else [source]
        for file in files:
            relative = file.relative_to(STAGE)
            meta = STAGE / "mutants" / f"{relative}.meta"
            if meta.exists():
                codes: Mapping[str, int | None] = json.loads(meta.read_text())["exit_code_by_key"]
                found += [
                    Mutant(name, relative, None if code == _INTERRUPTED else code)
                    for name, code in codes.items()
                ]
    return found


def environment() -> dict[str, str]:
    """The environment in which the tests of a mutant run: short, and the same each time."""
    return {
        **os.environ,
        "ZOMTRACE_REQUIRE": "",
        "ZOMTRACE_MODEL_HISTORIES": os.environ.get("ZOMTRACE_MODEL_HISTORIES", "20"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
