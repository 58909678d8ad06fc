"""``zomtrace run``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from tracer.cli.options import OutputOptions, Seconds, SignalName, output_options, trace_options
from tracer.cli.output import Output
from tracer.cli.recording import recording, write_option

if TYPE_CHECKING:
    from tracer.session.trace import Trace


@click.command("run", context_settings={"ignore_unknown_options": False})
@click.option(
    "--stop-after", "stop_after_s", type=Seconds(), help="Stop the command so long after its start."
)
@click.option(
    "--stop-signal",
    "stop_signo",
    type=SignalName(),
    default="TERM",
    show_default=True,
    help="The signal a stop begins with.",
)
@click.option(
    "--grace",
    "grace_s",
    type=Seconds(),
    default=10.0,
    show_default=True,
    help="From the stop signal to SIGKILL.",
)
@click.option(
    "--init",
    "with_init",
    is_flag=True,
    help="Put an init (tini) in front as PID 1, as docker run --init does.",
)
@trace_options
@write_option
@output_options
@click.argument("command", nargs=-1, required=True, metavar="-- CMD...", type=click.UNPROCESSED)
def command(
    command: tuple[str, ...],
    stop_after_s: float | None,
    stop_signo: int,
    grace_s: float,
    with_init: bool,
    duration_s: float | None,
    min_zombie_s: float,
    no_kprobes: bool,
    write_path: str | None,
    **output: Any,
) -> None:
    """Run CMD as PID 1 of a new PID namespace, traced from birth.

    It is stopped as a container runtime would: the stop signal, the grace,
    SIGKILL. Ctrl-C begins the stop. No container engine is needed. What CMD
    prints goes to stderr.
    """
    from tracer.session.runner import RunOptions, run_command
    from tracer.session.trace import TraceOptions

    out = Output(OutputOptions(**output), min_zombie_s)

    def stop_when_closed(_workload: object, trace: Trace, stop: Callable[[], None]) -> None:
        # A command that nobody watches any more is stopped, as by Ctrl-C.
        out.on_closed = stop
        out.while_waiting = trace.keep_up

    with recording(write_path, min_zombie_s) as recorder:
        try:
            report = run_command(
                command,
                RunOptions(
                    stop_after_s=stop_after_s,
                    stop_signo=stop_signo,
                    grace_s=grace_s,
                    with_init=with_init,
                ),
                TraceOptions(min_zombie_ns=int(min_zombie_s * 1e9), duration_s=duration_s),
                [out.sink],
                on_starting=out.start,
                on_idle=out.on_idle,
                on_held=stop_when_closed,
                allow_kprobes=not no_kprobes,
                recorder=recorder,
            )
        finally:
            out.close_live()
        out.finish(report)
