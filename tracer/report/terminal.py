"""Where text goes out: what the stream can show, and colours put on lines."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TextIO

from tracer.report.escape import fit_encoding, safe_text
from tracer.report.page import DEFAULT_WIDTH, Line, Page, Style, line_text, wrap

_MAX_WIDTH = 100
_MIN_WIDTH = 20
_DEFAULT_HEIGHT = 24

_RICH_STYLES: dict[Style, str] = {
    Style.PLAIN: "",
    Style.HEADING: "bold cyan",
    Style.STRONG: "bold",
    Style.DIM: "dim",
    Style.NAME: "cyan",
    Style.GOOD: "green",
    Style.ERROR: "bold red",
    Style.WARNING: "bold yellow",
    Style.INFO: "bold blue",
}


@dataclass(frozen=True, slots=True)
class Terminal:
    """What a stream can show.

    Args:
        is_terminal: It is one, and its cursor can be moved.
        color: Colours are wanted and possible.
        width: Columns for a report: those of COLUMNS or of the terminal, within
            reason; 80 when piped.
    """

    is_terminal: bool
    color: bool
    width: int

    @classmethod
    def of(
        cls, stream: TextIO, *, no_color: bool = False, environ: Mapping[str, str] | None = None
    ) -> Terminal:
        """Look at a stream and at NO_COLOR (no-color.org) and TERM."""
        env = os.environ if environ is None else environ
        is_terminal = stream.isatty() and env.get("TERM", "dumb") not in ("", "dumb")
        color = is_terminal and not no_color and not env.get("NO_COLOR")
        columns = _wanted_columns(env)
        if columns is None and is_terminal:
            columns = size_of(stream).columns
        width = min(max(columns or DEFAULT_WIDTH, _MIN_WIDTH), _MAX_WIDTH)
        return cls(is_terminal, color, width)


def _wanted_columns(environ: Mapping[str, str]) -> int | None:
    text = environ.get("COLUMNS", "").strip()
    # A number of a million digits takes its time to read.
    return int(text) or None if text.isascii() and text.isdigit() and len(text) < 6 else None


def size_of(stream: TextIO) -> os.terminal_size:
    """How large a terminal is now; 80 by 24 where it does not say (a serial line)."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except OSError:
        size = os.terminal_size((0, 0))
    return os.terminal_size((size.columns or DEFAULT_WIDTH, size.lines or _DEFAULT_HEIGHT))


def fit_message(text: str, stream: TextIO, *, indent: int = 0) -> str:
    """Break a message where a terminal would, but between words; a pipe gets one line.

    Args:
        text: Safe already, or anything.
        stream: Where it goes.
        indent: Blanks before each line.
    """
    margin = " " * indent
    if not stream.isatty():
        return margin + safe_text(text)
    columns = _wanted_columns(os.environ) or size_of(stream).columns
    rows = wrap(text, max(columns, _MIN_WIDTH) - indent)
    return "\n".join(margin + row for row in rows)


def write_page(page: Page, stream: TextIO, *, color: bool) -> None:
    """Write a page to a stream and flush it.

    Raises:
        BrokenPipeError: The reader went away.
    """
    text = paint(page.lines, color=color)
    stream.write(fit_encoding(text, getattr(stream, "encoding", None)))
    stream.flush()


def paint(lines: Iterable[Line], *, color: bool) -> str:
    """Write lines out, each with its end, with or without colours."""
    if not color:
        return "".join(f"{line_text(line)}\n" for line in lines)
    from rich.console import Console
    from rich.text import Text

    # Rich draws into memory: its console would turn a broken pipe into SystemExit.
    drawn = io.StringIO()
    console = Console(
        file=drawn,
        force_terminal=True,
        color_system="standard",
        no_color=False,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    for line in lines:
        text = Text(no_wrap=True, overflow="ignore")
        for span in line:
            text.append(span.text, style=_RICH_STYLES[span.style])
        text.rstrip()
        console.print(text, soft_wrap=True)
    return drawn.getvalue()
