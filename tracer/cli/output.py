"""Where results go: lines while tracing, the report after it."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from tracer.cli.options import OutputOptions
from tracer.cli.passed_output import PassedCount, PassedLines
from tracer.cli.pipe_writer import put_pipe_writer_on_stdout
from tracer.errors import (
    CheckFailedError,
    OutputError,
    ReaderGoneError,
    StdoutError,
    UsageError,
)
from tracer.files.outfile import check_new_file, new_file
from tracer.live.passed import PassedSink
from tracer.model.annotated import Annotated
from tracer.model.events import AttachedEvent, DeliverEvent, SignalEvent
from tracer.model.report import Report

if TYPE_CHECKING:
    from tracer.live.callbacks import TraceCallbacks
    from tracer.report.live import LiveView


_TICK_S = 0.2


def print_notice(text: str) -> None:
    """Print what a trace reports about itself, on stderr."""
    from tracer.report.escape import safe_text

    click.echo(f"zomtrace: {safe_text(text)}", err=True)


class Output:
    """The sink of one trace: live lines or JSON, then the report.

    A stdout that takes no more (``| head -1``, a full disk) ends the trace, not the
    program: the report is still written to its file. Where its reader is gone,
    --fail-on still holds; else the exit status says that stdout failed
    (:mod:`tracer.cli.ending`).

    Args:
        options: What to print.
        min_zombie_s: Zombies shorter than this are ignored.

    Attributes:
        on_closed: Called once stdout takes no more.
        while_waiting: Called while stdout's reader may have no room, as long as the
            trace lasts.
        after_report: Called once the report is out; raises what cut the trace short.
    """

    def __init__(self, options: OutputOptions, min_zombie_s: float) -> None:
        self.options = options
        self._min_zombie_ns = int(min_zombie_s * 1e9)
        self._utc_offset_ns = 0
        self._is_terminal = False
        self._is_closed = False
        self._live: LiveView | None = None
        self.on_closed: Callable[[], None] | None = None
        self.while_waiting: Callable[[], object] = lambda: None
        self.after_report: Callable[[], None] = lambda: None
        if options.report_path is not None:
            _check_report_path(options.report_path)

    def start(self) -> None:
        """Import what rendering needs: while the programs compile, it is free."""
        from tracer.report import jsonlines, jsonreport  # noqa: F401

        if self.options.as_json:
            if isinstance(sys.stdout, io.TextIOWrapper):
                # JSON is UTF-8 whatever the locale says.
                sys.stdout.reconfigure(encoding="utf-8")
            put_pipe_writer_on_stdout(self._wait_for_reader)
            return
        from tracer.procfs.clock import boot_now_ns
        from tracer.report.live import LiveView
        from tracer.report.terminal import Terminal

        put_pipe_writer_on_stdout(self._wait_for_reader)
        terminal = Terminal.of(sys.stdout, no_color=self.options.no_color)
        self._is_terminal = terminal.is_terminal
        self._live = LiveView(
            stream=sys.stdout,
            utc=self.options.utc,
            color=terminal.color,
            is_terminal=terminal.is_terminal,
            signals=self.options.signals,
            utc_offset_ns=0,
            boot_clock=boot_now_ns,
            min_zombie_ns=self._min_zombie_ns,
            verbose=self.options.verbose,
        )

    def _wait_for_reader(self) -> None:
        self.while_waiting()

    def callbacks(self) -> TraceCallbacks:
        """Return what a trace calls to print to this output."""
        from tracer.live.callbacks import TraceCallbacks

        return TraceCallbacks(
            sinks=(self.sink,),
            on_starting=self.start,
            on_idle=self.on_idle,
            passed_sink=self.passed_sink,
            on_notice=print_notice,
        )

    @property
    def passed_sink(self) -> PassedSink | None:
        """Shows lifetimes for which the trace makes no events; None where it makes all."""
        if self.options.verbose:
            return None
        if self.options.as_json:
            return PassedLines(self._write_passed, lambda: self._utc_offset_ns)
        return PassedCount(self._count_passed)

    def count_also(self, folded_alive: Callable[[], int]) -> None:
        """Count living processes that no event has mentioned yet."""
        if self._live is not None:
            self._live.count_also(folded_alive)

    def _count_passed(self, lifetimes: int) -> None:
        if self._live is not None:
            self._live.note_passed(lifetimes)

    def _write_passed(self, lines: str) -> None:
        if self._is_closed:
            return
        try:
            sys.stdout.write(lines)
        except (ReaderGoneError, StdoutError):
            self._close_stdout()

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
        except (ReaderGoneError, StdoutError):
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
            # It may have happened before the action was set.
            self._report_closed()
            return None
        try:
            if self._live is None:
                sys.stdout.flush()
                return None
            self._live.tick()
        except (ReaderGoneError, StdoutError):
            self._close_stdout()
            return None
        return _TICK_S if self._is_terminal else None

    def close_live(self) -> None:
        """End the live view, the trace is over; the terminal is as it was."""
        self.while_waiting = lambda: None
        if self._live is not None and not self._is_closed:
            try:
                self._live.close()
            except (ReaderGoneError, StdoutError):
                self._close_stdout()

    def finish(self, report: Report) -> None:
        """Print and write the report, then check what was to be checked.

        Raises:
            CheckFailedError: --fail-on or --strict found something.
            OutputError: The report file could not be written.
            OSError: The trace was cut short.
        """
        self.close_live()
        if not self._is_closed:
            try:
                self._print_report(report)
            except (ReaderGoneError, StdoutError):
                self._close_stdout()
        if self.options.report_path is not None:
            from tracer.report.jsonreport import render_report_file

            _write_report(self.options.report_path, render_report_file(report))
        self.after_report()
        self._check(report)

    def _print_report(self, report: Report) -> None:
        if self.options.as_json:
            from tracer.report.jsonreport import render_report_line

            sys.stdout.write(render_report_line(report) + "\n")
        else:
            from tracer.report.text import write_report

            write_report(
                report,
                sys.stdout,
                utc=self.options.utc,
                no_color=self.options.no_color,
                is_brief=self.options.brief,
            )
        sys.stdout.flush()

    def _check(self, report: Report) -> None:
        named = [f for f in report.findings if f.code in self.options.fail_on]
        found = sorted({f.code for f in named if f.complete or self.options.strict})
        unsure = sorted({f.code for f in named} - set(found))
        if unsure:
            click.echo(
                f"zomtrace: --fail-on: {', '.join(unsure)} uncertain because some required"
                " events were not captured; --strict counts it too",
                err=True,
            )
        if found:
            raise CheckFailedError(f"--fail-on: found {', '.join(found)}")
        if self.options.strict and report.lost:
            total = sum(report.lost.values())
            raise CheckFailedError(
                f"--strict: {total} events were lost" if total > 1 else "--strict: 1 event was lost"
            )

    def _close_stdout(self) -> None:
        self._is_closed = True
        self._report_closed()

    def _report_closed(self) -> None:
        on_closed, self.on_closed = self.on_closed, None
        if on_closed is not None:
            on_closed()


def _check_report_path(path: str) -> None:
    """See before the trace that its report can be written after it."""
    if not path:
        raise UsageError("--report is empty", hint="name a file")
    try:
        check_new_file(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        directory = os.path.dirname(path)
        raise OutputError(
            f"{path}: {directory} is not a directory", hint="create it first"
        ) from error
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error


def _write_report(path: str, text: str) -> None:
    try:
        with new_file(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written: {error.strerror}",
            hint="the report was printed, but not written to the file",
        ) from error
