"""What a report is written to: a pipe, a terminal with colours or without, a stream that fails."""

from __future__ import annotations

import io
import os
import pty
import re
from collections.abc import Iterator
from typing import TextIO

import pytest

from tests.support import report_stories as stories
from tracer.report.page import Page, Span
from tracer.report.terminal import Terminal, write_page
from tracer.report.text import render_report, report_page, write_report

_SGR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def terminal_pair() -> Iterator[tuple[int, TextIO]]:
    """A pseudo-terminal: what its screen side reads, and a stream onto it."""
    screen, line = pty.openpty()
    with os.fdopen(line, "w", encoding="utf-8", newline="") as stream:
        yield screen, stream
    os.close(screen)


def test_a_pipe_gets_plain_text_of_80_columns() -> None:
    stream = io.StringIO()

    write_report(stories.hostile(), stream, utc=True)

    assert stream.getvalue() == render_report(stories.hostile(), width=80, utc=True)


def test_colours_are_laid_over_the_same_lines() -> None:
    stream = io.StringIO()
    page = report_page(stories.fwd_sig(), utc=True)

    write_page(page, stream, color=True)

    assert "\x1b[" in stream.getvalue()
    assert _SGR.sub("", stream.getvalue()) == page.plain()


def test_colour_brings_no_other_escape_sequence_than_colour() -> None:
    stream = io.StringIO()

    write_page(report_page(stories.hostile(), utc=True), stream, color=True)

    assert all(line.isprintable() for line in _SGR.sub("", stream.getvalue()).splitlines())


@pytest.mark.parametrize(
    ("environ", "no_color", "is_terminal", "color"),
    [
        ({"TERM": "xterm"}, False, True, True),
        ({"TERM": "xterm"}, True, True, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False, True, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, False, True, True),
        ({"TERM": "dumb"}, False, False, False),
        ({}, False, False, False),
    ],
)
def test_what_a_terminal_can_show(
    terminal_pair: tuple[int, TextIO],
    environ: dict[str, str],
    no_color: bool,
    is_terminal: bool,
    color: bool,
) -> None:
    seen = Terminal.of(terminal_pair[1], no_color=no_color, environ=environ)

    assert (seen.is_terminal, seen.color) == (is_terminal, color)


def test_a_pipe_is_no_terminal_whatever_the_environment_says() -> None:
    assert Terminal.of(io.StringIO(), environ={"TERM": "xterm"}) == Terminal(False, False, 80)


def test_a_closed_pipe_is_reported_to_the_caller() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w", encoding="utf-8")

    with pytest.raises(BrokenPipeError):
        write_report(stories.fwd_sig(), stream, utc=True)
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_a_stream_that_knows_no_utf_8_gets_escapes() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", newline="")
    page = Page()
    page.add(Span("日本"))

    write_page(page, stream, color=False)

    assert raw.getvalue() == b"\\u65e5\\u672c\n"
