"""The live view: what matters stays on the screen, the rest is counted.

On a terminal the important lines scroll up and stay; below them the newest few
are still growing (``997 x worker``), and the last line holds the numbers of all
that got no line. Piped, there is one line an event shown, flushed at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TextIO

from tracer.model.annotated import Annotated
from tracer.model.events import AttachedEvent
from tracer.report.escape import clip, fit_encoding, safe_text
from tracer.report.live_counts import LiveCounts
from tracer.report.live_lines import LiveLine, LiveRules
from tracer.report.page import Line, Page, Span, Style, column
from tracer.report.terminal import paint, size_of
from tracer.wording.times import format_clock

_LABEL_WIDTH = 10
_NARROW_WIDTH = 60
"""Too few columns for the milliseconds."""
_MAX_GROWING = 4
_ROWS_LEFT_FREE = 2
_SETTLED_NS = 1_000_000_000
_REPAINT_NS = 50_000_000
_NO_WIDTH = 1_000_000
_ERASE_ROW = "\x1b[K"
_ERASE_BELOW = "\x1b[J"


@dataclass(slots=True)
class _Group:
    """A line that may still be counted up.

    ``line`` is the first of its kind with the shortest zombie time of all.
    """

    line: LiveLine
    count: int
    touched_ns: int
    longest_ns: int | None

    def add(self, line: LiveLine, now_ns: int) -> None:
        """Count one more."""
        self.count += 1
        self.touched_ns = now_ns
        if line.zombie_ns is not None and self.line.zombie_ns is not None:
            self.longest_ns = max(self.longest_ns or 0, line.zombie_ns)
            if line.zombie_ns < self.line.zombie_ns:
                self.line = replace(self.line, zombie_ns=line.zombie_ns)


class LiveView:
    """Shows events as they come.

    Call :meth:`tick` several times a second while no events come, and
    :meth:`close` before anything else is written to the stream.

    Args:
        stream: Where to write.
        utc: Show times in UTC instead of the machine's zone.
        color: Use colours.
        is_terminal: The stream is a terminal whose cursor can be moved.
        signals: Show signals of these numbers only (``-s``); None for the
            important ones.
        utc_offset_ns: CLOCK_REALTIME minus CLOCK_BOOTTIME; an AttachedEvent
            brings its own.
        min_zombie_ns: A zombie reaped after longer than this gets a line.
        verbose: Give every event a line.
        clock: Reads monotonic ns, for repainting.
        boot_clock: Reads CLOCK_BOOTTIME ns, for the age of zombies.

    Every method raises BrokenPipeError when the reader has gone away.
    """

    def __init__(
        self,
        *,
        stream: TextIO,
        utc: bool,
        color: bool,
        is_terminal: bool,
        signals: frozenset[int] | None,
        utc_offset_ns: int,
        boot_clock: Callable[[], int],
        min_zombie_ns: int = 1_000_000_000,
        verbose: bool = False,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._stream = stream
        self._utc = utc
        self._color = color
        self._is_terminal = is_terminal
        self._utc_offset_ns = utc_offset_ns
        self._clock = clock
        self._boot_clock = boot_clock
        self._rules = LiveRules(signals, min_zombie_ns, verbose)
        self._counts = LiveCounts()
        self._groups: list[_Group] = []
        self._settled: list[Line] = []
        self._rows_below = 0
        self._painted_ns = 0
        self._has_lines = self._is_closed = False
        self._painted: tuple[object, ...] = ()
        # Colours load a library: better now than when the first event waits.
        paint((), color=color)

    def show(self, annotated: Annotated) -> None:
        """Take an event in; it is on the screen at the latest with the next tick."""
        event = annotated.event
        if isinstance(event, AttachedEvent):
            self._utc_offset_ns = event.utc_offset_ns
            self._rules = replace(self._rules, show_container=len(event.target.containers) != 1)
        self._counts.note(annotated)
        line = self._rules.line_of(annotated)
        self._has_lines = self._has_lines or line is not None
        if not self._is_terminal:
            if line is not None:
                group = _Group(line, 1, 0, line.zombie_ns)
                self._write(paint(self._rows(group, _NO_WIDTH), color=self._color))
            return
        if line is not None:
            self._grow(line)
        if self._clock() - self._painted_ns >= _REPAINT_NS:
            self._repaint()

    def count_also(self, folded_alive: Callable[[], int]) -> None:
        """Count as living the processes that no event has mentioned yet."""
        self._counts.folded_alive = folded_alive

    def note_passed(self, lives: int) -> None:
        """Count uneventful exits."""
        self._counts.exits += lives

    def tick(self) -> None:
        """Bring the screen up to date; cheap, and nothing when piped."""
        if (
            self._is_terminal
            and not self._is_closed
            and self._clock() - self._painted_ns >= _REPAINT_NS
        ):
            self._repaint()

    def close(self) -> None:
        """Write what is still growing, take the status line away, leave a line free.

        Nothing is shown after it; closing again does nothing.
        """
        if self._is_closed:
            return
        self._is_closed = True
        text = ""
        if self._is_terminal:
            self._settle(len(self._groups))
            text = self._paint_over(self._settled) + _ERASE_ROW
        self._write(text + ("\n" if self._has_lines else ""))

    def _grow(self, line: LiveLine) -> None:
        now_ns = self._clock()
        for group in self._groups:
            if group.line.group == line.group:
                group.add(line, now_ns)
                return
        if len(self._groups) == _MAX_GROWING:
            self._settle(1)
        self._groups.append(_Group(line, 1, now_ns, line.zombie_ns))

    def _settle(self, how_many: int) -> None:
        for group in self._groups[:how_many]:
            self._settled += self._rows(group, self._columns())
        del self._groups[:how_many]

    def _repaint(self) -> None:
        now_ns = self._clock()
        while self._groups and now_ns - self._groups[0].touched_ns >= _SETTLED_NS:
            self._settle(1)
        self._painted_ns = now_ns
        columns = self._columns()
        status = clip(safe_text(self._counts.status(self._boot_clock())), columns)
        picture = (status, columns, *((group.line, group.count) for group in self._groups))
        if not self._settled and picture == self._painted:
            return
        self._painted = picture
        growing = self._growing_rows(columns)
        while len(growing) > size_of(self._stream).lines - _ROWS_LEFT_FREE and self._groups:
            # What has scrolled off the top can no longer be painted over.
            self._settle(1)
            growing = self._growing_rows(columns)
        style = Style.ERROR if self._counts.lost else Style.INFO
        text = (
            self._paint_over([*self._settled, *growing])
            + paint([(Span(status, style),)], color=self._color).rstrip("\n")
            + _ERASE_ROW
        )
        self._settled, self._rows_below = [], len(growing)
        self._write(text)

    def _growing_rows(self, columns: int) -> list[Line]:
        return [row for group in self._groups for row in self._rows(group, columns)]

    def _rows(self, group: _Group, width: int) -> list[Line]:
        page = Page(width)
        line = group.line
        clock = format_clock(line.boot_ns + self._utc_offset_ns, utc=self._utc)
        if width < _NARROW_WIDTH:
            clock = clock.partition(".")[0]
        lead = (
            Span(clock, Style.DIM),
            Span("  "),
            column(line.label, _LABEL_WIDTH, line.style),
        )
        page.entry(lead, line.sentence(group.count, group.longest_ns), style=line.style)
        return page.lines

    def _columns(self) -> int:
        # One less than there are: some terminals wrap when the last one is filled.
        return size_of(self._stream).columns - 1

    def _paint_over(self, lines: list[Line]) -> str:
        # Row by row: erasing the whole screen at once flickers, and some terminals
        # put what they erased into their history.
        up = f"\x1b[{self._rows_below}A" if self._rows_below else ""
        rows = paint(lines, color=self._color).replace("\n", f"{_ERASE_ROW}\n")
        rest = _ERASE_BELOW if len(lines) < self._rows_below else ""
        return f"\r{up}{rows}{rest}"

    def _write(self, text: str) -> None:
        self._stream.write(fit_encoding(text, getattr(self._stream, "encoding", None)))
        self._stream.flush()
