"""Lines of styled text on a page of fixed width: the one layout of every table.

Piped and coloured output are the same lines; colour is only put on top
(:mod:`tracer.report.terminal`). Everything that gets in is made safe here, so
no renderer can forget to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from tracer.report.escape import cell_width, clip, safe_text

DEFAULT_WIDTH = 80
_MIN_TEXT_WIDTH = 16
_GLUE = "\0"
_GLUED = re.compile(r"(?<=\d) (?=(?:ns|us|ms|s|min|h|d)\b)|(?<=<-) ")
"""Blanks no line is broken at: before a unit, and behind the arrow of a sender."""


class Style(StrEnum):
    """What a piece of text is, for whoever picks the colours."""

    PLAIN = "plain"
    HEADING = "heading"
    STRONG = "strong"
    DIM = "dim"
    NAME = "name"
    GOOD = "good"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of one line; its text is safe from the moment it exists."""

    text: str
    style: Style = Style.PLAIN

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", safe_text(self.text))


Line = tuple[Span, ...]


def column(text: str, width: int, style: Style = Style.PLAIN, *, right: bool = False) -> Span:
    """Make a cell of exactly ``width`` columns; what does not fit is cut with ``..``."""
    cell = clip(safe_text(text), width)
    gap = " " * (width - cell_width(cell))
    return Span(gap + cell if right else cell + gap, style)


def line_width(line: Iterable[Span]) -> int:
    """How many columns a line takes."""
    return sum(cell_width(span.text) for span in line)


def plain_line(line: Iterable[Span]) -> str:
    """Write a line without styles and without trailing blanks."""
    return "".join(span.text for span in line).rstrip()


def wrap(text: str, width: int) -> list[str]:
    """Break text into lines of at most ``width`` columns, at blanks where it can.

    What is unsafe is escaped, line ends included. A word longer than a line is
    cut into pieces.
    """
    lines: list[str] = []
    current = ""
    for word in _pieces(_GLUED.sub(_GLUE, safe_text(text)).split(" "), width):
        if not current:
            current = word
        elif cell_width(current) + 1 + cell_width(word) <= width:
            current = f"{current} {word}"
        else:
            lines.append(current)
            current = word
    lines.append(current)
    return [line.replace(_GLUE, " ") for line in lines]


def _pieces(words: list[str], width: int) -> Iterable[str]:
    for word in words:
        if not word:
            continue
        rest = word
        while cell_width(rest) > width:
            size = len(rest)
            while size > 1 and cell_width(rest[:size]) > width:
                size -= max(1, (cell_width(rest[:size]) - width) // 2)
            yield rest[:size]
            rest = rest[size:]
        yield rest


@dataclass(slots=True)
class Page:
    """A page being written, top to bottom.

    Args:
        width: Columns to stay within.
    """

    width: int = DEFAULT_WIDTH
    lines: list[Line] = field(default_factory=list)

    def blank(self) -> None:
        """Leave a line free, unless the page is empty or the last one is."""
        if self.lines and self.lines[-1]:
            self.lines.append(())

    def heading(self, text: str, note: str = "") -> None:
        """Begin a section; ``note`` stands behind its name where there is room."""
        self.blank()
        spans = [Span(text.upper(), Style.HEADING)]
        if note and len(text) + 2 + cell_width(safe_text(note)) <= self.width:
            spans.append(Span(f"  {note}", Style.DIM))
        self.lines.append(tuple(spans))

    def add(self, *spans: Span) -> None:
        """Write one line as it is."""
        self.lines.append(spans)

    def text(self, text: str, *, indent: int = 0, style: Style = Style.PLAIN) -> None:
        """Write text, wrapped, all its lines indented alike."""
        self.entry((Span(" " * indent),) if indent else (), text, style=style)

    def entry(self, lead: Line, text: str, *, style: Style = Style.PLAIN) -> None:
        """Write ``lead`` and, behind it, wrapped text that hangs under itself.

        Where the page is too narrow for that, the text goes below the lead.
        """
        indent = line_width(lead)
        if self.width - indent < _MIN_TEXT_WIDTH:
            self.lines.append(lead)
            indent = self.width // 3
            lead = (Span(" " * indent),)
        for number, piece in enumerate(wrap(text, self.width - indent)):
            before = lead if number == 0 else (Span(" " * indent),)
            self.lines.append((*before, Span(piece, style)))

    def plain(self) -> str:
        """Write the whole page without styles; ends with a line's end."""
        return "".join(f"{plain_line(line)}\n" for line in self.lines)
