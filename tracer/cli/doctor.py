"""``zomtrace doctor``."""

from __future__ import annotations

import json
import sys

import click

from tracer.cli.ending import print_details
from tracer.cli.options import verbose_option
from tracer.errors import UnavailableError


@click.command("doctor", short_help="Check whether this host can be traced, and how precisely.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--no-color", is_flag=True, help="Disable colours (also: NO_COLOR).")
@verbose_option
def command(as_json: bool, no_color: bool) -> None:
    """Check whether this host can be traced, and show its hooks and their precision."""
    from tracer.live.doctor import examine_host
    from tracer.report.doctor_table import doctor_page, doctor_to_json
    from tracer.report.terminal import Terminal, write_page

    report = examine_host()
    for check in report.checks:
        print_details(check.log)
    if as_json:
        sys.stdout.write(json.dumps(doctor_to_json(report)) + "\n")
    else:
        terminal = Terminal.of(sys.stdout, no_color=no_color)
        write_page(doctor_page(report, width=terminal.width), sys.stdout, color=terminal.color)
    if not report.is_usable:
        raise UnavailableError(
            "this host cannot be traced in its current state", hint="see the failed checks"
        )
