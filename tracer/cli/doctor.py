"""``zomtrace doctor``."""

from __future__ import annotations

import json
import sys

import click

from tracer.errors import UnavailableError


@click.command("doctor", short_help="Tell whether this host can be traced, and how well.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--no-color", is_flag=True, help="Never colour (also: NO_COLOR).")
def command(as_json: bool, no_color: bool) -> None:
    """Tell whether this host can be traced, with which hooks, and what they cost."""
    from tracer.report.doctor_table import doctor_page, doctor_to_json
    from tracer.report.terminal import Terminal, write_page
    from tracer.session.doctor import examine_host

    report = examine_host()
    if as_json:
        sys.stdout.write(json.dumps(doctor_to_json(report)) + "\n")
    else:
        terminal = Terminal.of(sys.stdout, no_color=no_color)
        write_page(doctor_page(report, width=terminal.width), sys.stdout, color=terminal.color)
    if not report.is_usable:
        raise UnavailableError("this host cannot be traced as it is", hint="see the failed checks")
