"""``zomtrace why``."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import click

from tracer.cli.capture import open_replay, report_cuts
from tracer.cli.options import selection_options, verbose_option
from tracer.cli.value_types import NamedPath, split_commas


@click.command("why")
@click.argument("file", metavar="FILE", type=NamedPath())
@selection_options
@click.option(
    "--pid",
    "pid",
    type=click.IntRange(min=1),
    metavar="PID",
    help="Process to explain: its host pid or, failing that, its pid in the container.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--utc", is_flag=True, help="Show times in UTC instead of local time.")
@click.option("--no-color", is_flag=True, help="Disable colours (also: NO_COLOR).")
@verbose_option
def command(
    file: Path,
    containers: tuple[str, ...],
    pidns: tuple[str, ...],
    pid: int | None,
    as_json: bool,
    utc: bool,
    no_color: bool,
) -> None:
    """Explain step by step, from a capture, why a container or process exited.

    Without -c, --pidns or --pid, explains the only stop in FILE or, if there is none,
    the only process that died of a signal.
    """
    from tracer.replay.why import explain
    from tracer.report.jsonobject import dump_object
    from tracer.report.terminal import Terminal, write_page
    from tracer.report.why_text import why_page, why_to_json

    replay = open_replay(file, containers, pidns, unfolded=True)
    why = explain(replay, pid=pid, name=", ".join(split_commas(containers)) or None)
    report_cuts(replay.cuts)
    utc_offset_ns = replay.header.utc_offset_ns
    if as_json:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")
        sys.stdout.write(dump_object(why_to_json(why, utc_offset_ns)) + "\n")
        return
    terminal = Terminal.of(sys.stdout, no_color=no_color)
    page = why_page(why, utc_offset_ns, utc=utc, width=terminal.width)
    write_page(page, sys.stdout, color=terminal.color)
