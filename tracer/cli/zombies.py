"""``zomtrace zombies``."""

from __future__ import annotations

import json
import sys

import click

from tracer.cli.options import split_commas


@click.command("zombies")
@click.option(
    "-c",
    "--container",
    "containers",
    metavar="ID|NAME",
    multiple=True,
    help="Only the zombies of this container.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--no-color", is_flag=True, help="Never colour (also: NO_COLOR).")
def command(containers: tuple[str, ...], as_json: bool, no_color: bool) -> None:
    """Show what is a zombie right now, and whose fault it is.

    Reads /proc alone: no BPF, no privilege but to look at other processes.
    """
    from tracer.kernel.clock import utc_offset_ns
    from tracer.report.terminal import Terminal, write_page
    from tracer.report.zombies_table import zombies_page, zombies_to_json
    from tracer.session.zombies import scan

    found = scan(split_commas(containers))
    if as_json:
        sys.stdout.write(json.dumps(zombies_to_json(found, utc_offset_ns())) + "\n")
        return
    terminal = Terminal.of(sys.stdout, no_color=no_color)
    write_page(zombies_page(found, width=terminal.width), sys.stdout, color=terminal.color)
