"""``zomtrace zombies``."""

from __future__ import annotations

import json
import sys

import click

from tracer.cli.ending import report_unseen
from tracer.cli.options import show_commands_option, verbose_option
from tracer.cli.value_types import split_commas
from tracer.model.report import DETAIL, MOST_DETAIL


@click.command("zombies")
@click.option(
    "-c",
    "--container",
    "containers",
    metavar="ID|NAME",
    multiple=True,
    help="Show only the zombies of this container.",
)
@show_commands_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--detail",
    metavar="N",
    type=click.IntRange(10, MOST_DETAIL),
    default=DETAIL,
    show_default=True,
    help="List N zombies in the JSON object; only count the rest, by parent.",
)
@click.option("--no-color", is_flag=True, help="Disable colours (also: NO_COLOR).")
@verbose_option
def command(
    containers: tuple[str, ...], show_commands: bool, as_json: bool, detail: int, no_color: bool
) -> None:
    """List current zombies and the process responsible for each.

    Reads only /proc: needs no BPF, only the privilege to inspect other processes.
    """
    from tracer.live.zombies import scan
    from tracer.procfs.clock import utc_offset_ns
    from tracer.report.escape import safe_text
    from tracer.report.terminal import Terminal, write_page
    from tracer.report.zombies_table import zombies_page, zombies_to_json

    found = scan(
        split_commas(containers),
        show_commands=show_commands,
        on_notice=lambda text: click.echo(f"zomtrace: {safe_text(text)}", err=True),
    )
    if found.zombies:
        report_unseen()
    if as_json:
        sys.stdout.write(json.dumps(zombies_to_json(found, utc_offset_ns(), detail)) + "\n")
        return
    terminal = Terminal.of(sys.stdout, no_color=no_color)
    write_page(zombies_page(found, width=terminal.width), sys.stdout, color=terminal.color)
