"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tracer.cli.ending import show_details
from tracer.cli.value_types import CodeList, Seconds, SignalList
from tracer.errors import UsageError
from tracer.model.events import BPF_SOURCE
from tracer.model.report import DETAIL, MOST_DETAIL
from tracer.model.verdicts import unreportable

if TYPE_CHECKING:
    from tracer.live.sources import SourceOptions

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """What to print, and when to fail.

    Args:
        as_json: One JSON object per line instead of text.
        report_path: Where to write the report as JSON, or None.
        signals: Show only lines about these signals; None shows all.
        fail_on: Finding codes that make the exit status 1.
        strict: Exit 1 when events were lost.
        utc: Show UTC instead of local time.
        no_color: Disable colours.
        verbose: Also show uneventful events, and details of errors.
        brief: Print only the first screen of the report.
    """

    as_json: bool
    report_path: str | None
    signals: frozenset[int] | None
    fail_on: frozenset[str]
    strict: bool
    utc: bool
    no_color: bool
    verbose: bool
    brief: bool = False


def _apply(decorators: Sequence[Callable[[F], F]], function: F) -> F:
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def target_options(function: F) -> F:
    """Add the options that name what to trace."""
    return _apply(
        [
            click.option(
                "-c",
                "--container",
                "containers",
                metavar="ID|NAME",
                multiple=True,
                help="Container to trace: an id, a unique prefix or a name. Repeat the option"
                " or separate several with commas.",
            ),
            click.option(
                "--pidns",
                "pidns",
                metavar="INUM",
                multiple=True,
                help="PID namespace to trace, as `readlink /proc/PID/ns/pid` prints it.",
            ),
            click.option(
                "--cgroup",
                "cgroups",
                metavar="PATH",
                multiple=True,
                help="Cgroup to trace, including its descendants.",
            ),
            click.option("--all", "everything", is_flag=True, help="Trace the whole host."),
            click.option(
                "--follow",
                is_flag=True,
                help="Keep tracing across restarts of the container or cgroup (with -c, --cgroup).",
            ),
        ],
        function,
    )


def selection_options(function: F) -> F:
    """Add the options that pick some processes of a capture."""
    for option in (
        click.option(
            "--pidns",
            "pidns",
            metavar="INUM",
            multiple=True,
            help="Only this PID namespace and those nested in it.",
        ),
        click.option(
            "-c",
            "--container",
            "containers",
            metavar="ID|NAME",
            multiple=True,
            help="Only this container: an id, a unique prefix or a name.",
        ),
    ):
        function = option(function)
    return function


def check_follow(follow: bool, containers: Sequence[str], cgroups: Sequence[str]) -> None:
    """Check that --follow has something to follow.

    Raises:
        UsageError: It does not.
    """
    if follow and not containers and not cgroups:
        raise UsageError(
            "--follow requires -c or --cgroup",
            hint="with --all, tracing continues until Ctrl-C in any case",
        )


def choose_source(
    name: str, no_kprobes: bool, fail_on: frozenset[str] = frozenset()
) -> SourceOptions:
    """Choose where events come from.

    Raises:
        UsageError: Another option requires what this source cannot do.
    """
    from tracer.live.sources import SourceOptions

    if name != BPF_SOURCE:
        if no_kprobes:
            raise UsageError(
                f"--no-kprobes applies to BPF only; it cannot be used with --source {name}"
            )
        from tracer.kernel.netlink_source import UNSEEN_KINDS

        never = [code for code in unreportable(UNSEEN_KINDS) if code in fail_on]
        if never:
            raise UsageError(
                f"--source {name} never finds {', '.join(never)}: --fail-on would always pass",
                hint="omit these codes, or trace with BPF",
            )
    return SourceOptions(name, not no_kprobes, is_choice=True)


def _note_verbose(_context: click.Context, _option: click.Parameter, value: bool) -> bool:
    if value:
        show_details()
    return value


def verbose_option(function: F) -> F:
    """Add ``-v`` to a command that shows nothing more with it than details of errors."""
    return click.option(
        "-v",
        "--verbose",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_note_verbose,
        help="Show details of errors.",
    )(function)


def show_commands_option(function: F) -> F:
    """Add the option that says whether command lines are kept."""
    return click.option(
        "--show-commands",
        type=click.Choice(["on", "off"]),
        default="on",
        show_default=True,
        callback=lambda _context, _parameter, value: value == "on",
        help="Record command lines of signal senders and zombies' parents, with secrets masked.",
    )(function)


def detail_option(default: int | None) -> Callable[[F], F]:
    """Return the option for how many processes a report describes in detail."""
    return click.option(
        "--detail",
        metavar="N",
        type=click.IntRange(10, MOST_DETAIL),
        default=default,
        show_default=default is not None,
        help="Keep details of N exited processes and N/10 stops; only count the rest.",
    )


def trace_options(function: F) -> F:
    """Add the options that say how to trace."""
    return _apply(
        [
            click.option(
                "-d",
                "--duration",
                "duration_s",
                type=Seconds(),
                help="Stop tracing after this long.",
            ),
            click.option(
                "--min-zombie",
                "min_zombie_s",
                type=Seconds(),
                default=1.0,
                show_default=True,
                help="Ignore zombies reaped within this time.",
            ),
            detail_option(DETAIL),
            click.option(
                "--source",
                "source_name",
                type=click.Choice(["bpf", "netlink"]),
                default="bpf",
                show_default=True,
                help="Where events come from. The process connector (netlink) needs no BPF, but"
                " reports only forks, execs and exits: no signals, causes or reapers.",
            ),
            click.option(
                "--no-kprobes",
                is_flag=True,
                help="Use only tracepoints, even if kprobes are available.",
            ),
            show_commands_option,
        ],
        function,
    )


def output_options(function: F) -> F:
    """Add the options that say what to print and when to fail."""
    return _apply(
        [
            click.option(
                "--json",
                "as_json",
                is_flag=True,
                help="Print one JSON object per line, the report last.",
            ),
            click.option(
                "--report",
                "report_path",
                metavar="FILE",
                help="Also write the report to FILE as JSON.",
            ),
            click.option(
                "--brief",
                is_flag=True,
                help="Print only the first screen of the report.",
            ),
            click.option(
                "-s",
                "--signal",
                "signals",
                type=SignalList(),
                help="Show only lines about these signals (9,TERM). The report is unaffected.",
            ),
            click.option(
                "--fail-on",
                type=CodeList(),
                default=frozenset(),
                help="Exit with status 1 if a finding has one of these codes (ZT101,ZT102 or"
                " all). Uncertain findings do not count.",
            ),
            click.option(
                "--strict",
                is_flag=True,
                help="Exit with status 1 if events were lost; --fail-on then also counts uncertain"
                " findings.",
            ),
            click.option("--utc", is_flag=True, help="Show times in UTC instead of local time."),
            click.option("--no-color", is_flag=True, help="Disable colours (also: NO_COLOR)."),
            click.option(
                "-v",
                "--verbose",
                is_flag=True,
                is_eager=True,
                callback=_note_verbose,
                help="Also show uneventful events and details of errors.",
            ),
        ],
        function,
    )
