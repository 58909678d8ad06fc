"""Text from outside, made safe to print.

A comm, a command line or a container's name is whatever its owner chose: an
escape sequence, a line break, a right-to-left override. What leaves this module
can move no cursor, break no line and hide or reorder nothing, and is encodable.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_INVISIBLE = frozenset(
    {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0}
    | set(range(0x180B, 0x1810))
    | set(range(0xFE00, 0xFE10))
    | set(range(0xE0100, 0xE01F0))
)
"""Blank or zero-width, yet letters, marks or symbols to ``str.isprintable``."""

_MAX_KEPT = 256
_MAX_MARKS = 4
"""Combining marks kept on one base: enough for every script, no tower of them."""


def safe_text(value: str | bytes) -> str:
    r"""Make any text safe for a terminal, a line of a log and a JSON string.

    Printable characters stay as they are. Control characters (C0, C1, DEL),
    line separators, bidirectional and zero-width controls, unassigned and
    private characters, spaces other than U+0020, surrogates and bytes that are
    no UTF-8 become Python escapes: ``\x1b``, ``\n``, ``\u202e``. So does a
    combining mark with nothing to combine with. Backslashes stay, which makes
    the function idempotent.

    Args:
        value: Text, possibly with ``surrogateescape`` surrogates, or raw bytes.

    >>> safe_text("a\x1b[2Jb"), safe_text(b"\xff")
    ('a\\x1b[2Jb', '\\xff')
    """
    text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
    if text.isascii() and text.isprintable():
        return text
    # Names come again and again; what is long comes once, and is not worth keeping.
    return _safe_line(text) if len(text) <= _MAX_KEPT else _escape_line(text)


def fit_encoding(text: str, encoding: str | None) -> str:
    """Escape what ``encoding`` (a stream's) cannot write, so that it never fails."""
    name = encoding or "utf-8"
    return text.encode(name, "backslashreplace").decode(name)


def cell_width(text: str) -> int:
    """How many terminal columns safe text takes.

    >>> cell_width("web"), cell_width("\u65e5\u672c")
    (3, 4)
    """
    if text.isascii():
        return len(text)
    return sum(_char_width(char) for char in text)


def clip(text: str, width: int) -> str:
    """Cut safe text to ``width`` columns, with ``..`` where something is gone."""
    if cell_width(text) <= width:
        return text
    mark = ".."[: max(width, 0)]
    room = width - len(mark)
    kept = ""
    for char in text:
        room -= _char_width(char)
        if room < 0:
            break
        kept += char
    return kept + mark


@lru_cache(maxsize=4096)
def _safe_line(text: str) -> str:
    return _escape_line(text)


def _escape_line(text: str) -> str:
    out: list[str] = []
    marks = _MAX_MARKS
    for char in text:
        is_mark = unicodedata.category(char) in ("Mn", "Me")
        if not char.isprintable() or ord(char) in _INVISIBLE or (is_mark and marks >= _MAX_MARKS):
            out.append(_escaped(char))
            marks = _MAX_MARKS
            continue
        marks = marks + 1 if is_mark else (_MAX_MARKS if char == " " else 0)
        out.append(char)
    return "".join(out)


def _escaped(char: str) -> str:
    point = ord(char)
    if 0xDC80 <= point <= 0xDCFF:
        return f"\\x{point - 0xDC00:02x}"
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char)
    if named is not None:
        return named
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


@lru_cache(maxsize=4096)
def _char_width(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1
