"""Where text goes out: what the stream can show, and colours put on lines."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TextIO

from tracer.report.escape import fit_encoding
from tracer.report.page import DEFAULT_WIDTH, Line, Page, Style, plain_line

_MAX_WIDTH = 100
_MIN_WIDTH = 60
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
        width: Columns for a report: 80 when piped, the terminal's within reason.
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
        width = DEFAULT_WIDTH
        if is_terminal:
            width = min(max(size_of(stream).columns, _MIN_WIDTH), _MAX_WIDTH)
        return cls(is_terminal, color, width)


def size_of(stream: TextIO) -> os.terminal_size:
    """How large a terminal is now; 80 by 24 where it does not say (a serial line)."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except OSError:
        size = os.terminal_size((0, 0))
    return os.terminal_size((size.columns or DEFAULT_WIDTH, size.lines or _DEFAULT_HEIGHT))


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
        return "".join(f"{plain_line(line)}\n" for line in lines)
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
