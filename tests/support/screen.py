"""A terminal made of strings, and a live view on it."""

from __future__ import annotations

import io
import re

from tests.support import annotated
from tests.support.reports import BEGIN_NS, MS, SECOND
from tracer.model.annotated import Annotated
from tracer.report.live import LiveView

_CONTROL = re.compile(r"\x1b\[(\d*)([A-Za-z])|\x1b\[[0-9;]*m|(\r)|(\n)|([^\x1b\r\n])")


class Screen(io.StringIO):
    """A terminal without height: carriage return, line feed, up, erase."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[str] = [""]
        self.row = self.column = 0
        self.writes = 0
        self.written = ""

    def write(self, text: str) -> int:
        self.writes += 1
        self.written += text
        position = 0
        for match in _CONTROL.finditer(text):
            assert match.start() == position, f"unknown control in {text[position:]!r}"
            position = match.end()
            self._obey(match)
        assert position == len(text)
        return len(text)

    def _obey(self, match: re.Match[str]) -> None:
        number, letter, carriage_return, line_feed, char = match.groups()
        if carriage_return:
            self.column = 0
        elif line_feed:
            self.row += 1
            self.column = 0
            if self.row == len(self.rows):
                self.rows.append("")
        elif char:
            row = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = row[: self.column] + char + row[self.column + 1 :]
            self.column += 1
        elif letter == "A":
            self.row -= int(number)
            assert self.row >= 0
        elif letter == "K":
            self.rows[self.row] = self.rows[self.row][: self.column]
        elif letter == "J":
            self.rows[self.row] = self.rows[self.row][: self.column]
            del self.rows[self.row + 1 :]
        else:
            assert letter in (None, "m"), f"unknown control {match.group()!r}"

    @property
    def lines(self) -> list[str]:
        return [row.rstrip() for row in self.rows if row.strip()]


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now_ns = 10 * SECOND

    def __call__(self) -> int:
        return self.now_ns


class Watched:
    """A live view on a screen, with its clock."""

    def __init__(self, *, color: bool = False, **changes: object) -> None:
        self.screen = Screen()
        self.clock = Clock()
        options: dict[str, object] = {"is_terminal": True, "signals": None, **changes}
        self.view = LiveView(
            stream=self.screen,
            utc=True,
            color=color,
            utc_offset_ns=0,
            clock=self.clock,
            boot_clock=lambda: BEGIN_NS + self.clock.now_ns - 10 * SECOND,
            **options,  # type: ignore[arg-type]
        )
        self.view.show(annotated.attached())

    def show(self, *events: Annotated) -> None:
        for event in events:
            self.view.show(event)

    def pass_time(self, duration_ns: int = 100 * MS) -> None:
        self.clock.now_ns += duration_ns
        self.view.tick()

    @property
    def kept(self) -> list[str]:
        """The lines above the status line, the first ("watching") left out."""
        return self.screen.lines[1:-1]

    @property
    def status(self) -> str:
        return self.screen.lines[-1]
