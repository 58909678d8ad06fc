"""What the installed ``zomtrace`` calls: signals are handled before anything is imported.

Below that is the net for whatever goes wrong, imports included.
"""

from __future__ import annotations

import sys

from tracer.live.interrupts import EarlyEnd


def main() -> None:
    """Run the command line and exit with its status."""
    with EarlyEnd():
        from tracer.cli.ending import settle

        status = settle(_run)
    sys.exit(status)


def _run() -> object:
    # The command line takes a library to be read, and that may be broken.
    from tracer.cli.main import run

    return run()
