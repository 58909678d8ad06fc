"""Where well-known programs take secrets, and which run another program.

``-p`` is a password to mysql, a port to ssh and a parent directory to mkdir: what
the name of an option does not show are listed here, one program a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Positions = tuple[int, int]
"""The first and the last of the plain words meant, counted from one."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a program's arguments mean.

    Args:
        secret: Options whose value is a secret: the next word, or behind ``=``, or
            that of a single letter, glued to it.
        glued: Options of one letter (or with a sign of their own, ``/p:``) whose
            value can only be glued to them.
        login: Options whose value is a user with a password behind a sign.
        pairs: Options whose value is a name with a secret behind ``=``.
        plain: Options that take no secret, whatever they are called.
        is_long: A word behind one dash is one option, and no letters.
        letters: Options of one letter that take a value: what follows one of
            them in the same word is no option.
        places: Which plain words are secrets.
        after: Which plain words behind some word are.
        all_pairs: Plain words ``name=value`` have a secret for a value.
        is_slashed: Its plain words may be ``user/password@database``.
        takes: Options with a value, of a program that runs another.
        flags: Those without one, where all others have one.
        runs: How many plain words stand before the program it runs; None if none.
        commands: Options with a program to run behind them (find -exec).
        script: Options with a script of the shell for a value; ``-c`` also at
            the end of several letters.
        sub: What the arguments mean behind some word.
    """

    secret: frozenset[str] = frozenset()
    glued: frozenset[str] = frozenset()
    login: frozenset[str] = frozenset()
    pairs: frozenset[str] = frozenset()
    plain: frozenset[str] = frozenset()
    is_long: bool = False
    letters: str = ""
    places: Positions | None = None
    after: Mapping[str, Positions] = field(default_factory=dict)
    all_pairs: bool = False
    is_slashed: bool = False
    takes: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()
    runs: int | None = None
    commands: frozenset[str] = frozenset()
    script: frozenset[str] = frozenset()
    sub: Mapping[str, Program] = field(default_factory=dict)


_SETS = ("secret", "glued", "login", "pairs", "plain", "takes", "flags", "commands", "script")


def program(**facts: object) -> Program:
    """Write an entry of the table: words in one string, positions as ``word:first-last``."""
    values: dict[str, object] = {}
    for name, value in facts.items():
        if name in _SETS:
            values[name] = frozenset(str(value).split())
        elif name == "after":
            pairs = (word.rsplit(":", 1) for word in str(value).split())
            values[name] = {word: _positions(places) for word, places in pairs}
        elif name == "places":
            values[name] = _positions(str(value))
        else:
            values[name] = value
    return Program(**values)  # type: ignore[arg-type]


def table(entries: Iterable[tuple[str, Program]]) -> dict[str, Program]:
    """Index entries by each of their names."""
    return {name: entry for names, entry in entries for name in names.split()}


def _positions(text: str) -> Positions:
    first, dash, last = text.partition("-")
    return int(first), int(last) if last else (99 if dash else int(first))


def is_lettered(word: str) -> bool:
    """Whether a word may be options of one letter, or one with its value: ``-xf``, ``-pX``."""
    return len(word) > 2 and word[0] == "-" and word[1] != "-"
