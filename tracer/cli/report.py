"""``zomtrace report``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tracer.cli.capture import open_replay, report_cuts
from tracer.cli.options import OutputOptions, detail_option, output_options, selection_options
from tracer.cli.output import Output
from tracer.cli.value_types import NamedPath, Seconds


@click.command("report")
@click.argument("file", metavar="FILE", type=NamedPath())
@selection_options
@click.option(
    "--since",
    metavar="TIME",
    help="Omit everything that ended before this time: 10:46, 2026-11-22T10:46:48Z, +5s, -1m.",
)
@click.option(
    "--until", metavar="TIME", help="Omit everything after this time; same format as --since."
)
@click.option(
    "--min-zombie",
    "min_zombie_s",
    type=Seconds(),
    help="Ignore zombies reaped within this time. Default: as in the trace.",
)
@detail_option(None)
@output_options
def command(
    file: Path,
    containers: tuple[str, ...],
    pidns: tuple[str, ...],
    since: str | None,
    until: str | None,
    min_zombie_s: float | None,
    detail: int | None,
    **output: Any,
) -> None:
    """Regenerate the report from a capture.

    FILE is a capture written by -w or zomtrace record, or a directory of them.
    No privileges and no BPF are needed. +5s counts from the start of the trace,
    -1m back from now; 10:46 is on the day the trace began.
    """
    options = OutputOptions(**output)
    out = Output(options, min_zombie_s or 0.0)
    replay = open_replay(
        file,
        containers,
        pidns,
        since=since,
        until=until,
        utc=options.utc,
        min_zombie_s=min_zombie_s,
        detail=detail,
    )
    report = replay.conclude()
    report_cuts(replay.cuts)
    out.finish(report)
