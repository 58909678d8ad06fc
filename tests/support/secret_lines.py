"""Command lines that hold secrets, and such that hold none, as files list them."""

from __future__ import annotations

import shlex
from pathlib import Path

LINES = Path(__file__).parents[1] / "data" / "command_lines"
USUAL_SECRET = "correcthorse"


def lines_of(name: str) -> list[str]:
    """The lines of a file, without its comments."""
    lines = (LINES / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def secretive_lines(*, quoted: bool = True) -> list[tuple[str, tuple[str, ...]]]:
    """Lines and what must not be shown of them; those that need their quotes, too, or not."""
    pairs = []
    for marked in lines_of("secrets.txt"):
        line = marked.removeprefix("! ")
        if line != marked and not quoted:
            continue
        named, bracket, command = line.partition("] ")
        if line.startswith("[") and bracket:
            pairs.append((command, tuple(named[1:].split())))
        else:
            pairs.append((line, (USUAL_SECRET,)))
    return pairs


def is_script(line: str) -> bool:
    """Whether only a shell can make sense of a line."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.commenters = ""
    operators = [word for word in lexer if set(word) <= set(";|&()<>")]
    words = line.split()
    return bool(operators and operators != [";"]) or "`" in line or words[0] in ("for", "if")
