"""``zomtrace record``."""

from __future__ import annotations

import re
from typing import Any

import click

from tracer.cli.options import (
    Seconds,
    check_follow,
    split_commas,
    target_options,
    trace_options,
)
from tracer.errors import OutputError, UsageError

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
                self.fail(f"{value!r} is less than the least size, 100kB", param, ctx)
            return size, None
        if not text[-1:].isalpha():
            self.fail(f"{value!r} has no unit: write 100MB, or 1h", param, ctx)
        seconds = Seconds().convert(text, param, ctx)
        if seconds < _MIN_ROTATE_S:
            self.fail(f"{value!r} is less than the least time, 1s", param, ctx)
        return None, seconds


@click.command("record")
@target_options
@click.option(
    "-w",
    "--write",
    "write_path",
    metavar="FILE_OR_DIR",
    required=True,
    help="Where to: a file, or a directory (existing, or with a slash at the end).",
)
@click.option(
    "--rotate",
    type=Rotation(),
    help="Begin another file at this size (100MB) or age (1h).",
)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="N",
    help="Keep the newest N files of this host in the directory.",
)
@trace_options
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
    no_kprobes: bool,
) -> None:
    """Keep a trace in a file and conclude nothing yet.

    It runs until the containers end, Ctrl-C, SIGTERM or -d. Each file can be read
    by itself, also while it is written: zomtrace report FILE, zomtrace why FILE,
    zomtrace export FILE.
    """
    from tracer.report.escape import safe_text
    from tracer.session.recorder import Recorder, RecordOptions
    from tracer.session.targets import TargetOptions
    from tracer.session.trace import Trace, TraceOptions
    from tracer.session.watch import watch

    check_follow(follow, containers)
    if keep is not None and rotate is None:
        raise UsageError("--keep N is about the files --rotate makes", hint="add --rotate 100MB")
    rotate_bytes, rotate_s = rotate or (None, None)
    ends: list[Trace] = []

    def fail(_: OutputError) -> None:
        for trace in ends:
            trace.end("the capture cannot be written")

    recorder = Recorder(
        RecordOptions(write_path, rotate_bytes, rotate_s, keep), int(min_zombie_s * 1e9), fail
    )

    def attached(trace: Trace) -> None:
        ends.append(trace)
        click.echo(
            f"zomtrace: recording {trace.target.description} to {write_path}; Ctrl-C ends it",
            err=True,
        )

    try:
        watch(
            TargetOptions(split_commas(containers), pidns, cgroups, everything),
            TraceOptions(
                min_zombie_ns=int(min_zombie_s * 1e9),
                duration_s=duration_s,
                # A whole host is kept as it comes; a container is small, and what
                # bears witness to it is asked as its events are understood.
                conclude=not everything,
            ),
            (),
            recorder=recorder,
            on_attached=attached,
            allow_kprobes=not no_kprobes,
            follow=follow,
            on_notice=lambda text: click.echo(f"zomtrace: {safe_text(text)}", err=True),
        )
    finally:
        recorder.close()
        if recorder.paths:
            click.echo(f"zomtrace: {_summary(recorder.records, recorder.bytes)}", err=True)
    recorder.finish()


def _summary(records: int, size: int) -> str:
    return f"{records:,} events recorded in {size:,} bytes"
