"""``scripts/messages`` lists what users can read, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent.parent.parent / "scripts" / "messages"
SOURCE = '''
"""The docstring of a module."""

import re

PATTERN = re.compile(r"no pattern here")
WORDS = {"key": "a plain message"}
NAME = "word"


def say(name: str, count: int) -> str:
    """The docstring of a function."""
    """A string that is a statement."""
    return (
        f"{name} was killed "
        f"{count:.1f} times"
    )
'''


def messages(*paths: Path) -> str:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, paths)], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_plain_and_formatted_strings_are_listed_and_docstrings_are_not(tmp_path: Path) -> None:
    source = tmp_path / "some.py"
    source.write_text(SOURCE)

    texts = [line.partition(": ")[2] for line in messages(source).splitlines()]
    assert texts == ["a plain message", "{name} was killed {count} times"]


def test_the_whole_program_is_listed_with_places() -> None:
    listed = messages().splitlines()

    assert any(
        line.startswith("tracer/wording/verdicts.py:") and "reaped by namespace teardown" in line
        for line in listed
    )
