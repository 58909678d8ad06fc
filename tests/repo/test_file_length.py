"""No file of source is over 400 lines: one that is has more than one subject."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.require import require, require_program

ROOT = Path(__file__).parents[2]
LONGEST = 400
SUFFIXES = {".c", ".css", ".h", ".js", ".py", ".sh"}


def source_files() -> list[Path]:
    """Every file of source in the checkout, committed or new; scripts too, which have no suffix."""
    git = require_program("git", "git")
    done = subprocess.run(
        [git, "-c", "safe.directory=*", "-C", ROOT, "ls-files", "-z", "--cached", "--others",
         "--exclude-standard"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    require("git", done.returncode == 0, done.stderr.strip() or "it lists no files")
    paths = [Path(name) for name in done.stdout.split("\0") if name]
    return [
        path
        for path in paths
        if (path.suffix in SUFFIXES or (path.parts[0] == "scripts" and not path.suffix))
        and (ROOT / path).is_file()
    ]


def test_no_file_is_over_400_lines() -> None:
    lengths = {
        str(path): len((ROOT / path).read_text(encoding="utf-8").splitlines())
        for path in source_files()
    }
    assert len(lengths) > 500
    assert {"scripts/setup", "bpf/zt_filter.h", "tests/conftest.py"} <= lengths.keys()
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST} == {}
