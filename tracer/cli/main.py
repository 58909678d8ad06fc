"""The command line: ``zomtrace``."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from tracer.cli.options import (
    OutputOptions,
    output_options,
    split_commas,
    target_options,
    trace_options,
)
from tracer.cli.recording import write_option
from tracer.errors import CheckFailedError, UsageError, ZomtraceError

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
_INTERRUPTED = 130
_EPILOG = """\b
Exit status: 0 done, 1 a --fail-on or --strict check failed, 2 usage,
69 this host or the target cannot serve, 70 an error of zomtrace's own,
77 no privilege.

\b
Examples:
  zomtrace -c web                   then, elsewhere: docker stop web
  zomtrace stop -c web              the same in one
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
    no_kprobes: bool,
    write_path: str | None,
    **output: Any,
) -> None:
    """Trace who killed what in a container, and who leaves zombies.

    `zomtrace -c web` watches until the container ends or Ctrl-C, then reports:
    which processes got SIGKILL, who sent it and why, which zombies went
    unreaped and by whose fault.
    """
    if ctx.invoked_subcommand is not None:
        named = [*containers, *pidns, *cgroups]
        if (
            named
            or everything
            or follow
            or duration_s is not None
            or write_path is not None
            or any(value for key, value in output.items() if key != "fail_on" or value)
        ):
            raise UsageError(
                f"options of {ctx.invoked_subcommand} go behind its name",
                hint=f"zomtrace {ctx.invoked_subcommand} --help lists them",
            )
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
        no_kprobes=no_kprobes,
        write_path=write_path,
        output_options=OutputOptions(**output),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    # Events are made by the million, and no cycle among them: to look for any as
    # often as Python does costs a quarter of the whole work.
    gc.set_threshold(200_000, 50, 50)
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        result = cli.main(args=arguments, prog_name="zomtrace", standalone_mode=False)
    except CheckFailedError as error:
        _complain(error)
        return error.exit_code
    except ZomtraceError as error:
        _complain(error)
        return error.exit_code
    except click.exceptions.Abort:
        return _interrupted()
    except click.ClickException as error:
        _complain(_usage_error(error))
        return error.exit_code
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:
        # Nobody reads on: not worth a word.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    return result if isinstance(result, int) else 0


def _interrupted() -> int:
    click.echo("zomtrace: interrupted twice: ended without a report", err=True)
    return _INTERRUPTED


def _usage_error(error: click.ClickException) -> UsageError:
    # click prints messages as they are, with whatever the arguments hold.
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context is not None else "zomtrace"
    return UsageError(error.format_message(), hint=f"{path} --help tells what there is")


def _complain(error: ZomtraceError) -> None:
    click.echo(f"zomtrace: {_safe(error.message)}", err=True)
    if error.hint:
        click.echo(f"  {_safe(error.hint)}", err=True)


def _safe(text: str) -> str:
    # A message names what was asked for, and that may be called anything.
    from tracer.report.escape import safe_text

    return safe_text(text)


if __name__ == "__main__":
    main()
