"""``zomtrace record``, and ``-w FILE`` with any live trace."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tracer.cli.options import (
    check_follow,
    choose_source,
    target_options,
    trace_options,
    verbose_option,
)
from tracer.cli.value_types import Seconds, split_commas
from tracer.errors import OutputError, UsageError

if TYPE_CHECKING:
    from tracer.live.recorder import Recorder

F = TypeVar("F", bound=Callable[..., Any])

_SIZE = re.compile(r"(\d{1,12})\s*(k|m|g|t)i?b?", re.ASCII | re.IGNORECASE)
_UNITS = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_MIN_ROTATE_BYTES = 100_000
_MIN_ROTATE_S = 1.0


class Rotation(click.ParamType[tuple[int | None, float | None]]):
    """``100MB`` or ``1h``: how large or how old a file may get."""

    name = "SIZE|TIME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int | None, float | None]:
        """Read the size or the time."""
        if isinstance(value, tuple):
            return value
        text = str(value).strip()
        match = _SIZE.fullmatch(text)
        # "5m" are minutes, as everywhere else; megabytes are "5MB".
        if match is not None and not re.fullmatch(r"\d+m", text):
            size = int(match[1]) * _UNITS[match[2].lower()]
            if size < _MIN_ROTATE_BYTES:
                self.fail(f"{value!r} is below the minimum size, 100kB", param, ctx)
            return size, None
        if not text[-1:].isalpha():
            self.fail(f"{value!r} has no unit: write 100MB, or 1h", param, ctx)
        seconds = Seconds().convert(text, param, ctx)
        if seconds < _MIN_ROTATE_S:
            self.fail(f"{value!r} is below the minimum time, 1s", param, ctx)
        return None, seconds


def write_option(function: F) -> F:
    """Add ``-w/--write``."""
    return click.option(
        "-w",
        "--write",
        "write_path",
        metavar="FILE",
        help="Record a capture to FILE for zomtrace report, why and export.",
    )(function)


@contextmanager
def recording(
    write_path: str | None, min_zombie_s: float, detail: int
) -> Iterator[Recorder | None]:
    """Return the recorder of a trace that is to be written, else None.

    The trace goes on when the file cannot be written any more; that it could not
    is raised at the end.

    Raises:
        OutputError: The file's directory is not there, or the file could not be
            written to its end.
    """
    if write_path is None:
        yield None
        return
    from tracer.live.recorder import Recorder, RecordOptions

    recorder = Recorder(RecordOptions(write_path), int(min_zombie_s * 1e9), _print_failure, detail)
    try:
        yield recorder
    finally:
        recorder.finish()


def _print_failure(error: OutputError) -> None:
    click.echo(f"zomtrace: {error.message}; tracing continues", err=True)


@click.command("record")
@target_options
@click.option(
    "-w",
    "--write",
    "write_path",
    metavar="FILE_OR_DIR",
    required=True,
    help="Capture to write: a file, or a directory (existing, or with a trailing slash).",
)
@click.option(
    "--rotate",
    type=Rotation(),
    help="Start a new file at this size (100MB) or age (1h).",
)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="N",
    help="Keep only the newest N files of this host in the directory.",
)
@trace_options
@verbose_option
def command(
    containers: tuple[str, ...],
    pidns: tuple[str, ...],
    cgroups: tuple[str, ...],
    everything: bool,
    follow: bool,
    write_path: str,
    rotate: tuple[int | None, float | None] | None,
    keep: int | None,
    duration_s: float | None,
    min_zombie_s: float,
    detail: int,
    source_name: str,
    no_kprobes: bool,
    show_commands: bool,
) -> None:
    """Record a trace without analysing it.

    Recording ends when the containers exit, on Ctrl-C or SIGTERM, or when the time given with -d
    has passed. Each file can be read on its own, even while it is being written: zomtrace report
    FILE, zomtrace why FILE, zomtrace export FILE.
    """
    from tracer.cli.output import print_notice
    from tracer.live.callbacks import TraceCallbacks
    from tracer.live.recorder import Recorder, RecordOptions
    from tracer.live.targets import TargetOptions
    from tracer.live.trace import Trace
    from tracer.live.trace_options import TraceOptions
    from tracer.live.watch import watch
    from tracer.report.escape import safe_text

    check_follow(follow, containers, cgroups)
    source_options = choose_source(source_name, no_kprobes)
    if keep is not None and rotate is None:
        raise UsageError("--keep requires --rotate", hint="add --rotate 100MB")
    rotate_bytes, rotate_s = rotate or (None, None)
    ends: list[Trace] = []

    def fail(_: OutputError) -> None:
        for trace in ends:
            trace.end("the capture cannot be written")

    recorder = Recorder(
        RecordOptions(write_path, rotate_bytes, rotate_s, keep),
        int(min_zombie_s * 1e9),
        fail,
        detail,
    )

    def attached(trace: Trace) -> None:
        ends.append(trace)
        click.echo(
            safe_text(
                f"zomtrace: recording {trace.target.description} to {write_path};"
                " press Ctrl-C to stop"
            ),
            err=True,
        )

    try:
        watch(
            TargetOptions(split_commas(containers), pidns, cgroups, everything),
            TraceOptions(
                min_zombie_ns=int(min_zombie_s * 1e9),
                detail=detail,
                duration_s=duration_s,
                # A whole host is kept as it comes; a container is small, and what
                # bears witness to it is asked as its events are understood.
                conclude=not everything,
                show_commands=show_commands,
            ),
            TraceCallbacks(on_notice=print_notice),
            on_attached=attached,
            recorder=recorder,
            source_options=source_options,
            follow=follow,
        )
    finally:
        recorder.close()
        if recorder.paths:
            click.echo(f"zomtrace: {_summary(recorder.records, recorder.bytes)}", err=True)
    recorder.finish()
    for trace in ends:
        trace.raise_shortage()


def _summary(records: int, size: int) -> str:
    return f"{records:,} events recorded in {size:,} bytes"
