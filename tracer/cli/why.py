"""``zomtrace why``."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import click

from tracer.cli.capture_options import open_replay, selection_options, tell_cuts
from tracer.cli.options import split_commas


@click.command("why")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@selection_options
@click.option(
    "--pid",
    "pid",
    type=click.IntRange(min=1),
    metavar="PID",
    help="The process: its pid on the host or, failing that, in its container.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--utc", is_flag=True, help="Show times in UTC, not local time.")
@click.option("--no-color", is_flag=True, help="Never colour (also: NO_COLOR).")
def command(
    file: Path,
    containers: tuple[str, ...],
    pidns: tuple[str, ...],
    pid: int | None,
    as_json: bool,
    utc: bool,
    no_color: bool,
) -> None:
    """Tell why something ended, link by link, from a capture.

    Without a name: the one stop that FILE holds, else the one process in it that
    died by a signal.
    """
    from tracer.report.jsonobject import dump_object
    from tracer.report.terminal import Terminal, write_page
    from tracer.report.why_text import why_page, why_to_json
    from tracer.session.why import explain

    replay = open_replay(file, containers, pidns)
    why = explain(replay, pid=pid, name=", ".join(split_commas(containers)) or None)
    tell_cuts(replay.cuts)
    utc_offset_ns = replay.header.utc_offset_ns
    if as_json:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")
        sys.stdout.write(dump_object(why_to_json(why, utc_offset_ns)) + "\n")
        return
    terminal = Terminal.of(sys.stdout, no_color=no_color)
    page = why_page(why, utc_offset_ns, utc=utc, width=terminal.width)
    write_page(page, sys.stdout, color=terminal.color)
