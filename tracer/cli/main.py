"""The command line: ``zomtrace``."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click
from click.core import ParameterSource

from tracer.cli.ending import settle
from tracer.cli.options import OutputOptions, output_options, target_options, trace_options
from tracer.cli.record import write_option
from tracer.cli.value_types import split_commas
from tracer.errors import UsageError

_COMMANDS = {
    "run": "tracer.cli.run",
    "stop": "tracer.cli.stop",
    "record": "tracer.cli.record",
    "report": "tracer.cli.report",
    "why": "tracer.cli.why",
    "export": "tracer.cli.export",
    "zombies": "tracer.cli.zombies",
    "demo": "tracer.cli.demo",
    "explain": "tracer.cli.explain",
    "doctor": "tracer.cli.doctor",
}
_EPILOG = """\b
Exit status: 0 success, 1 a --fail-on or --strict check failed, 2 usage error,
69 the host or the target cannot be traced, 70 internal error, 77 missing
privilege.

\b
Examples:
  zomtrace -c web                   then, in another terminal: docker stop web
  zomtrace stop -c web              both in one command
  zomtrace run --stop-after 3 -- ./entrypoint.sh
  zomtrace -c web --json | jq 'select(.signal == "SIGKILL")'
"""


class LazyGroup(click.Group):
    """Commands whose modules are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Name the commands, in the order of the manual."""
        return list(_COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        """Import one command."""
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = importlib.import_module(module).command
        return command


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@target_options
@trace_options
@write_option
@output_options
@click.version_option(package_name="zomtrace", prog_name="zomtrace")
@click.pass_context
def cli(
    ctx: click.Context,
    /,
    containers: tuple[str, ...],
    pidns: tuple[str, ...],
    cgroups: tuple[str, ...],
    everything: bool,
    follow: bool,
    duration_s: float | None,
    min_zombie_s: float,
    detail: int,
    source_name: str,
    no_kprobes: bool,
    show_commands: bool,
    write_path: str | None,
    **output: Any,
) -> None:
    """Find out who killed a container's processes and who failed to reap its zombies.

    `zomtrace -c web` traces until the container stops or Ctrl-C, then reports
    which processes were killed, who sent the signals and why, and which
    process failed to reap each zombie.
    """
    if ctx.invoked_subcommand is not None:
        _refuse_options(ctx, ctx.invoked_subcommand)
        return
    from tracer.cli.watch import watch_targets

    watch_targets(
        containers=split_commas(containers),
        pidns=pidns,
        cgroups=cgroups,
        everything=everything,
        follow=follow,
        duration_s=duration_s,
        min_zombie_s=min_zombie_s,
        detail=detail,
        source_name=source_name,
        no_kprobes=no_kprobes,
        show_commands=show_commands,
        write_path=write_path,
        output_options=OutputOptions(**output),
    )


def _refuse_options(ctx: click.Context, command: str) -> None:
    """See that no option was given before a command's name: none would reach it."""
    given = [
        max(parameter.opts, key=len)
        for parameter in ctx.command.get_params(ctx)
        if ctx.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise UsageError(
            f"{', '.join(given)}: options for '{command}' must follow the command name",
            hint=f"zomtrace {command} --help lists them",
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    sys.exit(settle(lambda: run(arguments)))


def run(arguments: Sequence[str] | None = None) -> object:
    """Run the command line; what goes wrong is raised.

    Raises:
        ZomtraceError: What the program knows to say about it.
        KeyboardInterrupt: It was interrupted, twice where once is enough to end.
    """
    # Events are made by the million, and no cycle among them: to look for any as
    # often as Python does costs a quarter of the whole work.
    gc.set_threshold(200_000, 50, 50)
    # click would write a completion script instead, and run the bash that PATH names for it.
    os.environ.pop("_ZOMTRACE_COMPLETE", None)
    try:
        return cli.main(args=arguments, prog_name="zomtrace", standalone_mode=False)
    except click.exceptions.Abort as error:
        # click's word for both an interrupt and an unexpected end of a file.
        raise (error.__cause__ or KeyboardInterrupt()) from None
    except click.ClickException as error:
        raise _usage_error(error) from error


def _usage_error(error: click.ClickException) -> UsageError:
    # click prints messages as they are, with whatever the arguments hold.
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context is not None else "zomtrace"
    return UsageError(error.format_message(), hint=f"{path} --help lists the options")


if __name__ == "__main__":
    main()
