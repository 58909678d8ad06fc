"""``zomtrace explain``."""

from __future__ import annotations

import sys

import click

from tracer.cli.options import verbose_option
from tracer.errors import UsageError
from tracer.model.verdicts import FINDING_KINDS


@click.command("explain", short_help="Explain a finding and how to fix it.")
@click.argument("finding", required=False, metavar="[CODE|NAME]")
@click.option("--no-color", is_flag=True, help="Disable colours (also: NO_COLOR).")
@verbose_option
def command(finding: str | None, no_color: bool) -> None:
    """Explain a finding: what the kernel does, how to reproduce it, how to fix it.

    CODE is the code of a finding, such as ZT102; NAME is its name, such as
    init-does-not-forward. Without either, lists all findings.
    """
    from tracer.report.manual import contents_page, manual_page, read_manual
    from tracer.report.terminal import Terminal, write_page

    terminal = Terminal.of(sys.stdout, no_color=no_color)
    if finding is None:
        page = contents_page(width=terminal.width)
    else:
        page = manual_page(read_manual(_find_code(finding)), width=terminal.width)
    write_page(page, sys.stdout, color=terminal.color)


def _find_code(finding: str) -> str:
    wanted = finding.strip().lower()
    for kind in FINDING_KINDS.values():
        if wanted in (kind.code.lower(), kind.name):
            return kind.code
    raise UsageError(
        f"no finding is called {finding!r}", hint="zomtrace explain lists all findings"
    )
