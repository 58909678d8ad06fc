"""Where results go: lines while tracing, the report after it."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tracer.cli.options import OutputOptions
from tracer.cli.outlet import put_outlet_on_stdout
from tracer.errors import CheckFailedError, OutputError
from tracer.model.annotated import Annotated
from tracer.model.events import AttachedEvent, DeliverEvent, SignalEvent
from tracer.model.report import Report

if TYPE_CHECKING:
    from tracer.report.live import LiveView


_TICK_S = 0.2


class Output:
    """The sink of one trace: live lines or JSON, then the report.

    A closed stdout (``| head -1``) ends the trace, not the program: the report
    is still written to its file and --fail-on still holds.

    Args:
        options: What to print.
        min_zombie_s: Zombies shorter than this are ordinary.

    Attributes:
        on_closed: Called once stdout's reader is gone.
        while_waiting: Called while stdout's reader may have no room, as long as the
            trace lasts.
    """

    def __init__(self, options: OutputOptions, min_zombie_s: float) -> None:
        self.options = options
        self._min_zombie_ns = int(min_zombie_s * 1e9)
        self._utc_offset_ns = 0
        self._is_terminal = False
        self._is_closed = False
        self._live: LiveView | None = None
        self.on_closed: Callable[[], None] = lambda: None
        self.while_waiting: Callable[[], object] = lambda: None
        if options.report_path is not None:
            _check_writable(Path(options.report_path))

    def start(self) -> None:
        """Import what rendering needs: while the programs compile, it is free."""
        from tracer.report import jsonlines, jsonreport  # noqa: F401

        if self.options.as_json:
            if isinstance(sys.stdout, io.TextIOWrapper):
                # JSON is UTF-8 whatever the locale says.
                sys.stdout.reconfigure(encoding="utf-8")
            put_outlet_on_stdout(self._wait_for_reader)
            return
        from tracer.report.live import LiveView
        from tracer.report.terminal import Terminal

        put_outlet_on_stdout(self._wait_for_reader)
        terminal = Terminal.of(sys.stdout, no_color=self.options.no_color)
        self._is_terminal = terminal.is_terminal
        self._live = LiveView(
            stream=sys.stdout,
            utc=self.options.utc,
            color=terminal.color,
            is_terminal=terminal.is_terminal,
            signals=self.options.signals,
            utc_offset_ns=0,
            min_zombie_ns=self._min_zombie_ns,
            verbose=self.options.verbose,
        )

    def _wait_for_reader(self) -> None:
        self.while_waiting()

    @property
    def on_passed(self) -> Callable[[int], object] | None:
        """Counts lives of which there is nothing to tell; None where all is told."""
        if self.options.as_json or self.options.verbose:
            return None
        return self._count_passed

    def _count_passed(self, lives: int) -> None:
        if self._live is not None:
            self._live.note_passed(lives)

    def sink(self, annotated: Annotated) -> None:
        """Show one conclusion."""
        if isinstance(annotated.event, AttachedEvent):
            self._utc_offset_ns = annotated.event.utc_offset_ns
        if self._is_closed:
            return
        try:
            if self._live is not None:
                self._live.show(annotated)
            else:
                self._write_json(annotated)
        except BrokenPipeError:
            self._close_stdout()

    def _write_json(self, annotated: Annotated) -> None:
        from tracer.report.jsonlines import render_line

        event = annotated.event
        wanted = self.options.signals
        if (
            wanted is not None
            and isinstance(event, SignalEvent | DeliverEvent)
            and event.signo not in wanted
        ):
            return
        line = render_line(annotated, self._utc_offset_ns)
        if line is not None:
            sys.stdout.write(line + "\n")
            if isinstance(event, AttachedEvent):
                sys.stdout.flush()

    def on_idle(self) -> float | None:
        """Let the live view's clock run; hand on the lines written since.

        Returns:
            After how many seconds to call again though nothing happened; None
            where only a live view on a terminal would change by itself.
        """
        if self._is_closed:
            return None
        try:
            if self._live is None:
                sys.stdout.flush()
                return None
            self._live.tick()
        except BrokenPipeError:
            self._close_stdout()
            return None
        return _TICK_S if self._is_terminal else None

    def close_live(self) -> None:
        """End the live view, the trace is over; the terminal is as it was."""
        self.while_waiting = lambda: None
        if self._live is not None and not self._is_closed:
            try:
                self._live.close()
            except BrokenPipeError:
                self._close_stdout()

    def finish(self, report: Report) -> None:
        """Print and write the report, then check what was to be checked.

        Raises:
            CheckFailedError: --fail-on or --strict found something.
            OutputError: The report file could not be written.
        """
        self.close_live()
        if not self._is_closed:
            try:
                self._print_report(report)
            except BrokenPipeError:
                self._close_stdout()
        if self.options.report_path is not None:
            from tracer.report.jsonreport import render_report_file

            _write_atomically(Path(self.options.report_path), render_report_file(report))
        self._check(report)

    def _print_report(self, report: Report) -> None:
        if self.options.as_json:
            from tracer.report.jsonreport import render_report_line

            sys.stdout.write(render_report_line(report) + "\n")
        else:
            from tracer.report.text import write_report

            write_report(report, sys.stdout, utc=self.options.utc, no_color=self.options.no_color)
        sys.stdout.flush()

    def _check(self, report: Report) -> None:
        found = sorted({f.code for f in report.findings} & self.options.fail_on)
        if found:
            raise CheckFailedError(f"--fail-on: found {', '.join(found)}")
        if self.options.strict and report.lost:
            total = sum(report.lost.values())
            raise CheckFailedError(f"--strict: {total} events were lost")

    def _close_stdout(self) -> None:
        self._is_closed = True
        # The interpreter flushes stdout once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        self.on_closed()


def _check_writable(path: Path) -> None:
    directory = path.parent
    if not directory.is_dir():
        raise OutputError(f"{path}: {directory} is not a directory", hint="make it first")
    if path.is_dir():
        raise OutputError(f"{path} is a directory", hint="name a file in it")
    if not os.access(directory, os.W_OK):
        raise OutputError(f"{path}: no permission to write in {directory}")


def _write_atomically(path: Path, text: str) -> None:
    if path.exists() and not path.is_file():
        # /dev/stdout, a FIFO: nothing to replace.
        _write_plainly(path, text)
        return
    name = None
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            name = file.name
            file.write(text)
        os.replace(name, path)
    except OSError as error:
        if name is not None:
            Path(name).unlink(missing_ok=True)
        raise OutputError(
            f"{path}: {error.strerror}", hint="the report was printed, but not written to the file"
        ) from error


def _write_plainly(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}") from error
