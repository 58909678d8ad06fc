"""Lines of styled text on a page of fixed width: the one layout of every table.

Piped and coloured output are the same lines; colour is only put on top
(:mod:`tracer.report.terminal`). Everything that gets in is made safe here, so
no renderer can forget to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from tracer.model.verdicts import Severity
from tracer.report.escape import cell_width, clip, safe_text

DEFAULT_WIDTH = 80
_MIN_TEXT_WIDTH = 20
_NARROW_INDENT = 6
_SEAMS = "/:_,=-"
_GLUE = "\0"
_GLUED = re.compile(r"(?<=\d) (?=(?:ns|us|ms|s|min|h|d)\b)|(?<=<-) ")
"""Blanks no line is broken at: before a unit, and behind the arrow of a sender."""


class Style(StrEnum):
    """What a piece of text is, for the choice of colours."""

    PLAIN = "plain"
    HEADING = "heading"
    STRONG = "strong"
    DIM = "dim"
    NAME = "name"
    GOOD = "good"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


SEVERITY_STYLE: dict[Severity, Style] = {
    Severity.ERROR: Style.ERROR,
    Severity.WARNING: Style.WARNING,
    Severity.INFO: Style.INFO,
}


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


def line_text(line: Iterable[Span]) -> str:
    """Write a line without styles and without trailing blanks."""
    return "".join(span.text for span in line).rstrip()


def wrap(text: str, width: int) -> list[str]:
    """Break text into lines of at most ``width`` columns, at blanks where it can.

    What is unsafe is escaped, line ends included. A word longer than a line is
    cut into pieces, behind a sign that joins its parts where it has one.
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
        if word.isascii() and len(word) <= width:
            if word:
                yield word
            continue
        begin = taken = seam = 0
        for at, char in enumerate(word):
            columns = cell_width(char)
            if taken + columns > width and at > begin:
                end = seam if seam > begin + (at - begin) // 2 else at
                yield word[begin:end]
                # What is behind the seam is on the next line by now.
                taken = cell_width(word[end:at])
                begin = end
            taken += columns
            if char in _SEAMS:
                seam = at + 1
        yield word[begin:]


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

    def has_room(self, indent: int) -> bool:
        """Whether text indented this far can be read, with more than a word per line."""
        return self.width - indent >= _MIN_TEXT_WIDTH

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
        if not self.has_room(indent):
            lead = self._further_left(lead)
            indent = line_width(lead)
        if not self.has_room(indent):
            self._add_within(lead)
            indent = self._narrow_indent
            lead = (Span(" " * indent),)
        for number, piece in enumerate(wrap(text, self.width - indent)):
            before = lead if number == 0 else (Span(" " * indent),)
            self.lines.append((*before, Span(piece, style)))

    def row(self, *cells: Span) -> None:
        """Write the cells of a table's row side by side, or the last one below the others."""
        if line_width(cells) <= self.width or not cells:
            self.lines.append(cells)
            return
        self.entry(cells[:-1], cells[-1].text.strip(), style=cells[-1].style)

    @property
    def _narrow_indent(self) -> int:
        return min(_NARROW_INDENT, self.width // 3)

    def _further_left(self, lead: Line) -> Line:
        if not lead or lead[0].text.strip() or len(lead[0].text) <= self._narrow_indent:
            return lead
        return (Span(" " * self._narrow_indent), *lead[1:])

    def _add_within(self, lead: Line) -> None:
        """Write a line's beginning, on two lines where it is too wide for one."""
        kept: list[Span] = []
        for span in lead:
            if kept and line_width((*kept, span)) > self.width and span.text.strip():
                self.lines.append(tuple(kept))
                kept = [Span(" " * self._narrow_indent)]
            kept.append(span)
        room = self.width
        cut: list[Span] = []
        for span in kept:
            cut.append(Span(clip(span.text, max(room, 0)), span.style))
            room -= cell_width(span.text)
        self.lines.append(tuple(cut))

    def add_within(self, items: Iterable[Callable[[Page], None]], most: int | None) -> int:
        """Write as many items as fit into this many lines, but at least the first.

        Args:
            items: Each writes itself to a page.
            most: How many lines; None = however many.

        Returns:
            How many items were written.
        """
        written, room = 0, most
        for item in items:
            apart = Page(self.width)
            item(apart)
            if room is not None:
                room -= len(apart.lines)
                if room < 0 and written:
                    break
            self.lines += apart.lines
            written += 1
        return written

    def plain(self) -> str:
        """Write the whole page without styles; ends with a line's end."""
        return "".join(f"{line_text(line)}\n" for line in self.lines)
