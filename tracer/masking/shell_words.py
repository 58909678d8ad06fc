"""A shell script's words, found in one pass, each with its place in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

# One repeated class and no other: no text takes more than one step a character.
_PLAIN = re.compile(r"""[^\s'"\\;&|()<>`{}$]+""")
_BLANK = re.compile(r"[^\S\n]+")
_ENDS_COMMAND = ";&|()`\n"
_REDIRECTS = "<>"
_ENDS_WORD = _ENDS_COMMAND + _REDIRECTS


class TokenKind(Enum):
    """What a piece of a script is."""

    WORD = "word"
    END = "end"
    PIPE = "pipe"
    REDIRECT = "redirect"


class Token(NamedTuple):
    """A word or an operator of a script.

    Args:
        start: Where it begins.
        end: Where the text behind it begins.
        value: A word without its quotes.
        kind: What it is.
    """

    start: int
    end: int
    value: str
    kind: TokenKind

    @property
    def is_here_string(self) -> bool:
        """Whether the next word is handed to the command on stdin."""
        return self.kind is TokenKind.REDIRECT and self.value == "<<<"


def split_script(text: str) -> Iterator[Token]:
    """Split a script as a shell would, as far as that can be done without running it.

    A quote that is never closed stands for itself: the text may be a list of
    arguments that were joined, with their quotes.
    """
    at = 0
    words = _Words(text)
    while at < len(text):
        char = text[at]
        if char != "\n" and char.isspace():
            blank = _BLANK.match(text, at)
            at = blank.end() if blank is not None else at + 1
            continue
        operator = _operator(text, at)
        if operator is not None:
            yield operator
            at = operator.end
            continue
        value, end = words.read(at)
        yield Token(at, end, value, TokenKind.WORD)
        at = end


def _operator(text: str, at: int) -> Token | None:
    char = text[at]
    if char in _ENDS_COMMAND:
        is_pipe = char == "|" and "|" not in (text[at - 1 : at], text[at + 1 : at + 2])
        return Token(at, at + 1, char, TokenKind.PIPE if is_pipe else TokenKind.END)
    if char in _REDIRECTS:
        end = at + 1
        while end - at < 3 and text[end : end + 1] == char:
            end += 1
        return Token(at, end, text[at:end], TokenKind.REDIRECT)
    if char in "{}" and text[at + 1 : at + 2] in ("", " ", "\n", ";"):
        return Token(at, at + 1, char, TokenKind.END)
    if text.startswith("$(", at):
        # What stands in it is a command of its own.
        return Token(at, at + 2, "$(", TokenKind.END)
    return None


class _Words:
    """Reads the words of a text, each character once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._open: set[str] = set()
        """Quotes that stand for themselves: from here on none of them is closed."""

    def read(self, at: int) -> tuple[str, int]:
        """Read the word that begins there; return it without quotes, and where it ends."""
        text, parts, is_query = self._text, list[str](), False
        while at < len(text):
            char = text[at]
            plain = _PLAIN.match(text, at)
            if plain is not None:
                parts.append(plain[0])
                is_query = is_query or "?" in plain[0]
                at = plain.end()
            elif char in "'\"" and char not in self._open:
                quoted = (
                    _single_quoted(text, at + 1) if char == "'" else _double_quoted(text, at + 1)
                )
                if quoted is None:
                    self._open.add(char)
                else:
                    parts.append(quoted[0])
                    at = quoted[1]
            elif char == "\\" and at + 1 < len(text):
                parts.append(text[at + 1])
                at += 2
            elif char == "&" and is_query and text[at + 1 : at + 2] not in ("", "&", " ", "\n"):
                # An address whose quotes were removed.
                parts.append(char)
                at += 1
            elif char.isspace() or char in _ENDS_WORD or text.startswith("$(", at):
                break
            else:
                parts.append(char)
                at += 1
        return "".join(parts), at


def _single_quoted(text: str, at: int) -> tuple[str, int] | None:
    close = text.find("'", at)
    return (text[at:close], close + 1) if close >= 0 else None


def _double_quoted(text: str, at: int) -> tuple[str, int] | None:
    parts = []
    close = text.find('"', at)
    while close >= 0:
        escape = text.find("\\", at, close)
        if escape < 0:
            parts.append(text[at:close])
            return "".join(parts), close + 1
        escaped = text[escape + 1]
        parts.append(text[at:escape])
        parts.append(escaped if escaped in '"\\$`' else f"\\{escaped}")
        at = escape + 2
        if escape + 1 == close:
            close = text.find('"', at)
    return None
