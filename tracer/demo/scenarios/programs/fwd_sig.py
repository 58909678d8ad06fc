"""PID 1 with workers, with or without a SIGTERM handler; it never forwards the signal."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from tracer.demo.scenarios.programs.notes import exit_on, idle, say, start


def main(arguments: Sequence[str]) -> None:
    """Start workers, then wait for SIGTERM.

    Args:
        arguments: ``handler`` or ``no-handler``, and how many workers.
    """
    handling, workers = arguments
    for _ in range(int(workers)):
        start("worker", idle)
    if handling == "handler":
        exit_on(signal.SIGTERM)
    say("ready")
    idle()
