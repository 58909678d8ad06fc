"""``zomtrace -c``, ``--pidns``, ``--cgroup``, ``--all``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from tracer.cli.ending import report_unseen
from tracer.cli.options import OutputOptions, check_follow, choose_source
from tracer.cli.output import Output
from tracer.cli.record import recording
from tracer.live.targets import TargetOptions
from tracer.live.trace import Trace
from tracer.live.trace_options import TraceOptions
from tracer.live.watch import watch


def watch_targets(
    *,
    containers: Sequence[str],
    pidns: Sequence[str],
    cgroups: Sequence[str],
    everything: bool,
    follow: bool,
    duration_s: float | None,
    min_zombie_s: float,
    detail: int,
    source_name: str,
    no_kprobes: bool,
    show_commands: bool,
    write_path: str | None,
    output_options: OutputOptions,
) -> None:
    """Watch targets and report."""
    from tracer.report.escape import safe_text

    check_follow(follow, containers, cgroups)
    source_options = choose_source(source_name, no_kprobes, output_options.fail_on)

    output = Output(output_options, min_zombie_s)

    def attached(trace: Trace) -> None:
        output.on_closed = lambda: trace.end("output closed")
        output.after_report = trace.raise_shortage
        output.while_waiting = trace.keep_up
        output.count_also(lambda: trace.folded_alive)
        click.echo(
            f"zomtrace: tracing {safe_text(trace.target.description)}; press Ctrl-C to stop",
            err=True,
        )
        report_unseen()

    with recording(write_path, min_zombie_s, detail) as recorder:
        try:
            report = watch(
                TargetOptions(containers, pidns, cgroups, everything),
                TraceOptions(
                    min_zombie_ns=int(min_zombie_s * 1e9),
                    detail=detail,
                    duration_s=duration_s,
                    show_commands=show_commands,
                    fold=not output_options.verbose,
                ),
                output.callbacks(),
                on_attached=attached,
                source_options=source_options,
                recorder=recorder,
                follow=follow,
            )
        finally:
            output.close_live()
        output.finish(report)
