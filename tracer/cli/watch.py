"""``zomtrace -c``, ``--pidns``, ``--cgroup``, ``--all``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from tracer.cli.options import OutputOptions, check_follow
from tracer.cli.output import Output
from tracer.cli.recording import recording
from tracer.session.targets import TargetOptions
from tracer.session.trace import Trace, TraceOptions
from tracer.session.watch import watch


def watch_targets(
    *,
    containers: Sequence[str],
    pidns: Sequence[str],
    cgroups: Sequence[str],
    everything: bool,
    follow: bool,
    duration_s: float | None,
    min_zombie_s: float,
    no_kprobes: bool,
    write_path: str | None,
    output_options: OutputOptions,
) -> None:
    """Watch targets and report."""
    from tracer.report.escape import safe_text

    check_follow(follow, containers)

    output = Output(output_options, min_zombie_s)

    def attached(trace: Trace) -> None:
        output.on_closed = lambda: trace.end("output closed")
        output.while_waiting = trace.keep_up
        click.echo(
            f"zomtrace: tracing {safe_text(trace.target.description)}; Ctrl-C ends it", err=True
        )

    with recording(write_path, min_zombie_s) as recorder:
        try:
            report = watch(
                TargetOptions(containers, pidns, cgroups, everything),
                TraceOptions(
                    min_zombie_ns=int(min_zombie_s * 1e9),
                    duration_s=duration_s,
                ),
                [output.sink],
                on_idle=output.on_idle,
                on_starting=output.start,
                on_attached=attached,
                allow_kprobes=not no_kprobes,
                recorder=recorder,
                on_passed=output.on_passed,
                follow=follow,
                on_notice=lambda text: click.echo(f"zomtrace: {safe_text(text)}", err=True),
            )
        finally:
            output.close_live()
        output.finish(report)
