"""``-w FILE`` beside any live trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from tracer.errors import OutputError
from tracer.session.recorder import Recorder, RecordOptions

F = TypeVar("F", bound=Callable[..., Any])


def write_option(function: F) -> F:
    """Add ``-w/--write``."""
    return click.option(
        "-w",
        "--write",
        "write_path",
        metavar="FILE",
        help="Keep what is seen in FILE, for zomtrace report, why and export.",
    )(function)


@contextmanager
def recording(write_path: str | None, min_zombie_s: float) -> Iterator[Recorder | None]:
    """Give the recorder of a trace that was told to write, else None.

    The trace goes on when the file cannot be written any more; that it could not
    is raised at the end.

    Raises:
        OutputError: The file's directory is not there, or the file could not be
            written to its end.
    """
    if write_path is None:
        yield None
        return
    recorder = Recorder(RecordOptions(write_path), int(min_zombie_s * 1e9), _tell_failure)
    try:
        yield recorder
    finally:
        recorder.finish()


def _tell_failure(error: OutputError) -> None:
    click.echo(f"zomtrace: {error.message}; the trace goes on", err=True)
