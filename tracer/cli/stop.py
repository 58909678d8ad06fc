"""``zomtrace stop``."""

from __future__ import annotations

from typing import Any

import click

from tracer.cli.options import OutputOptions, choose_source, output_options, trace_options
from tracer.cli.output import Output
from tracer.cli.record import recording, write_option
from tracer.cli.value_types import Seconds, split_commas
from tracer.errors import UsageError


@click.command("stop", short_help="Stop a container and trace the stop.")
@click.option(
    "-c",
    "--container",
    "containers",
    metavar="ID|NAME",
    multiple=True,
    required=True,
    help="Container to stop: an id, a unique prefix or a name.",
)
@click.option(
    "--grace",
    "grace_s",
    type=Seconds(),
    help="Time from the stop signal to SIGKILL. Default: as configured for the container.",
)
@trace_options
@write_option
@output_options
def command(
    containers: tuple[str, ...],
    grace_s: float | None,
    duration_s: float | None,
    min_zombie_s: float,
    detail: int,
    source_name: str,
    no_kprobes: bool,
    show_commands: bool,
    write_path: str | None,
    **output: Any,
) -> None:
    """Stop a container through its own runtime and trace the stop."""
    from tracer.live.stop import StopRequest
    from tracer.live.targets import TargetOptions
    from tracer.live.trace import Trace
    from tracer.live.trace_options import TraceOptions
    from tracer.live.watch import watch

    names = split_commas(containers)
    if len(names) > 1:
        raise UsageError("stop accepts one container", hint="trace the others with zomtrace -c")
    options = OutputOptions(**output)
    source_options = choose_source(source_name, no_kprobes, options.fail_on)
    out = Output(options, min_zombie_s)
    request = StopRequest(grace_s)

    def attached(trace: Trace) -> None:
        out.on_closed = lambda: trace.end("output closed")
        out.after_report = trace.raise_shortage
        out.while_waiting = trace.keep_up
        request.begin(trace)

    with recording(write_path, min_zombie_s, detail) as recorder:
        try:
            report = watch(
                TargetOptions(containers=names),
                TraceOptions(
                    min_zombie_ns=int(min_zombie_s * 1e9),
                    duration_s=duration_s,
                    detail=detail,
                    show_commands=show_commands,
                    fold=not out.options.verbose,
                ),
                out.callbacks(),
                on_resolved=request.check,
                on_attached=attached,
                source_options=source_options,
                recorder=recorder,
            )
        finally:
            out.close_live()
        try:
            request.finish()
        finally:
            out.finish(report)
