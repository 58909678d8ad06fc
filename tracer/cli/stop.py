"""``zomtrace stop``."""

from __future__ import annotations

from typing import Any

import click

from tracer.cli.options import OutputOptions, Seconds, output_options, split_commas, trace_options
from tracer.cli.output import Output
from tracer.cli.recording import recording, write_option
from tracer.errors import UsageError


@click.command("stop", short_help="Stop a container, and trace how that goes.")
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
    help="From the stop signal to SIGKILL; by default what the container has configured.",
)
@trace_options
@write_option
@output_options
def command(
    containers: tuple[str, ...],
    grace_s: float | None,
    duration_s: float | None,
    min_zombie_s: float,
    no_kprobes: bool,
    write_path: str | None,
    **output: Any,
) -> None:
    """Stop a container through its own runtime, and trace how that goes."""
    from tracer.session.stopping import StopRequest
    from tracer.session.targets import TargetOptions
    from tracer.session.trace import Trace, TraceOptions
    from tracer.session.watch import watch

    names = split_commas(containers)
    if len(names) > 1:
        raise UsageError("stop takes one container", hint="trace the others with zomtrace -c")
    out = Output(OutputOptions(**output), min_zombie_s)
    request = StopRequest(grace_s)

    def attached(trace: Trace) -> None:
        out.on_closed = lambda: trace.end("output closed")
        out.while_waiting = trace.keep_up
        request.begin(trace)

    with recording(write_path, min_zombie_s) as recorder:
        try:
            report = watch(
                TargetOptions(containers=names),
                TraceOptions(min_zombie_ns=int(min_zombie_s * 1e9), duration_s=duration_s),
                [out.sink],
                on_idle=out.on_idle,
                on_starting=out.start,
                on_attached=attached,
                allow_kprobes=not no_kprobes,
                recorder=recorder,
            )
        finally:
            out.close_live()
        try:
            request.finish()
        finally:
            out.finish(report)
