"""``zomtrace run``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from tracer.cli.options import OutputOptions, choose_source, output_options, trace_options
from tracer.cli.output import Output
from tracer.cli.record import recording, write_option
from tracer.cli.value_types import Seconds, SignalName

if TYPE_CHECKING:
    from tracer.live.trace import Trace


@click.command("run", context_settings={"ignore_unknown_options": False})
@click.option(
    "--stop-after",
    "stop_after_s",
    type=Seconds(),
    help="Stop the command this long after its start.",
)
@click.option(
    "--stop-signal",
    "stop_signo",
    type=SignalName(),
    default="TERM",
    show_default=True,
    help="Stop signal to send.",
)
@click.option(
    "--grace",
    "grace_s",
    type=Seconds(),
    default=10.0,
    show_default=True,
    help="Time from the stop signal to SIGKILL.",
)
@click.option(
    "--init",
    "with_init",
    is_flag=True,
    help="Run an init (tini) as PID 1, as docker run --init does.",
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
    detail: int,
    source_name: str,
    no_kprobes: bool,
    show_commands: bool,
    write_path: str | None,
    **output: Any,
) -> None:
    """Run CMD as PID 1 of a new PID namespace, traced from its start.

    It is stopped as a container runtime would: the stop signal, the grace
    period, SIGKILL. Ctrl-C begins the stop. No container engine is needed. The
    output of CMD goes to stderr.
    """
    from tracer.live.run import RunOptions, run_command
    from tracer.live.trace_options import TraceOptions

    options = OutputOptions(**output)
    source_options = choose_source(source_name, no_kprobes, options.fail_on)
    out = Output(options, min_zombie_s)

    def stop_when_closed(_workload: object, trace: Trace, stop: Callable[[], None]) -> None:
        # A command without anyone watching is stopped, as by Ctrl-C.
        out.on_closed = stop
        out.after_report = trace.raise_shortage
        out.while_waiting = trace.keep_up
        out.count_also(lambda: trace.folded_alive)

    with recording(write_path, min_zombie_s, detail) as recorder:
        try:
            report = run_command(
                command,
                RunOptions(
                    stop_after_s=stop_after_s,
                    stop_signo=stop_signo,
                    grace_s=grace_s,
                    with_init=with_init,
                ),
                TraceOptions(
                    min_zombie_ns=int(min_zombie_s * 1e9),
                    duration_s=duration_s,
                    detail=detail,
                    show_commands=show_commands,
                    fold=not out.options.verbose,
                ),
                out.callbacks(),
                on_held=stop_when_closed,
                source_options=source_options,
                recorder=recorder,
            )
        finally:
            out.close_live()
        out.finish(report)
