"""``zomtrace explain``."""

from __future__ import annotations

import sys

import click

from tracer.errors import UsageError
from tracer.model.verdicts import FINDING_KINDS


@click.command("explain", short_help="Tell what a finding means and how to fix it.")
@click.argument("finding", required=False, metavar="[CODE|NAME]")
@click.option("--no-color", is_flag=True, help="Never colour (also: NO_COLOR).")
def command(finding: str | None, no_color: bool) -> None:
    """Tell what a finding means: the kernel's reason, how to see it, how to fix it.

    CODE is ZT102 or the like, NAME is its name in words (init-does-not-forward).
    Without one the findings are listed.
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
        f"no finding is called {finding!r}", hint="zomtrace explain lists those there are"
    )
