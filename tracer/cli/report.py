"""``zomtrace report``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tracer.cli.capture_options import (
    open_replay,
    selection_options,
    tell_cuts,
)
from tracer.cli.options import OutputOptions, Seconds, output_options
from tracer.cli.output import Output


@click.command("report")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@selection_options
@click.option(
    "--since",
    metavar="TIME",
    help="Leave out what was over before: 10:46, 2026-11-22T10:46:48Z, +5s, -1m.",
)
@click.option("--until", metavar="TIME", help="End there; written as --since is.")
@click.option(
    "--min-zombie",
    "min_zombie_s",
    type=Seconds(),
    help="Zombies shorter than this are ordinary; by default what the trace was told.",
)
@output_options
def command(
    file: Path,
    containers: tuple[str, ...],
    pidns: tuple[str, ...],
    since: str | None,
    until: str | None,
    min_zombie_s: float | None,
    **output: Any,
) -> None:
    """Report from a capture what the live trace reported.

    FILE is what -w or zomtrace record wrote, or a directory of it. No privilege
    is needed, and no BPF. +5s counts from the trace's begin, -1m back from now,
    10:46 is on the day the trace began.
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
    )
    report = replay.conclude()
    tell_cuts(replay.cuts)
    out.finish(report)
