"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from tracer.errors import UsageError
from tracer.model.signals import parse_signal
from tracer.model.verdicts import FINDING_KINDS

_DURATION = re.compile(r"(\d{1,9}(?:\.\d+)?)(ms|s|m|h|)", re.ASCII)
_UNIT_S = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """What to print, and when to fail.

    Args:
        as_json: One JSON object a line instead of text.
        report_path: Where to write the report as JSON, or None.
        signals: Show only lines about these signals; None shows all.
        fail_on: Finding codes that make the exit status 1.
        strict: Exit 1 when events were lost.
        utc: Show UTC instead of local time.
        no_color: Never colour.
        verbose: Show background events too, and logs on errors.
    """

    as_json: bool
    report_path: str | None
    signals: frozenset[int] | None
    fail_on: frozenset[str]
    strict: bool
    utc: bool
    no_color: bool
    verbose: bool


class SignalList(click.ParamType[frozenset[int]]):
    """``9,TERM,SIGRTMIN+3`` as a set of numbers."""

    name = "LIST"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> frozenset[int]:
        """Read the list."""
        if isinstance(value, frozenset):
            return value
        try:
            return frozenset(parse_signal(word) for word in str(value).split(",") if word.strip())
        except ValueError as error:
            self.fail(str(error), param, ctx)


class SignalName(click.ParamType[int]):
    """One signal, by number or name."""

    name = "SIGNAL"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the signal."""
        if isinstance(value, int):
            return value
        try:
            return parse_signal(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class CodeList(click.ParamType[frozenset[str]]):
    """``ZT101,ZT201`` or ``all`` as a set of finding codes."""

    name = "CODES"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> frozenset[str]:
        """Read the list."""
        if isinstance(value, frozenset):
            return value
        codes = frozenset(word.strip().upper() for word in str(value).split(",") if word.strip())
        if codes == {"ALL"}:
            return frozenset(FINDING_KINDS)
        unknown = sorted(codes - FINDING_KINDS.keys())
        if unknown:
            self.fail(
                f"no finding has the code {unknown[0]}; there are {', '.join(FINDING_KINDS)}",
                param,
                ctx,
            )
        return codes


class Seconds(click.ParamType[float]):
    """A duration: ``10``, ``1.5``, ``500ms``, ``2m``, ``1h``; in seconds."""

    name = "S"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read the duration."""
        if isinstance(value, int | float):
            return float(value)
        match = _DURATION.fullmatch(str(value).strip().lower())
        if match is None:
            self.fail(f"{value!r} is not a duration: write 10, 1.5, 500ms, 2m or 1h", param, ctx)
        return float(match[1]) * _UNIT_S[match[2]]


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
                help="Container to trace: an id, a unique prefix or a name; may be"
                " repeated, or a comma list.",
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
                help="Cgroup to trace, with all below it.",
            ),
            click.option("--all", "everything", is_flag=True, help="Trace the whole host."),
            click.option(
                "--follow",
                is_flag=True,
                help="Outlive restarts: trace the container's next runs too (with -c).",
            ),
        ],
        function,
    )


def check_follow(follow: bool, containers: Sequence[str]) -> None:
    """See that --follow has something to follow.

    Raises:
        UsageError: It has not.
    """
    if follow and not containers:
        raise UsageError(
            "--follow goes with -c: only a container starts again under its name",
            hint="a cgroup or the whole host is traced until Ctrl-C anyhow",
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
                help="End the trace after so many seconds.",
            ),
            click.option(
                "--min-zombie",
                "min_zombie_s",
                type=Seconds(),
                default=1.0,
                show_default=True,
                help="Zombies shorter than this are ordinary.",
            ),
            click.option(
                "--no-kprobes",
                is_flag=True,
                help="Trace by tracepoints alone, even where kprobes work.",
            ),
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
                help="One JSON object a line on stdout, the report last.",
            ),
            click.option(
                "--report",
                "report_path",
                metavar="FILE",
                help="Write the report as JSON to FILE too.",
            ),
            click.option(
                "-s",
                "--signal",
                "signals",
                type=SignalList(),
                help="Show only lines about these signals (9,TERM); verdicts see all.",
            ),
            click.option(
                "--fail-on",
                type=CodeList(),
                default=frozenset(),
                help="Exit 1 if a finding has one of these codes (ZT101,ZT102 or all).",
            ),
            click.option("--strict", is_flag=True, help="Exit 1 if events were lost."),
            click.option("--utc", is_flag=True, help="Show times in UTC, not local time."),
            click.option("--no-color", is_flag=True, help="Never colour (also: NO_COLOR)."),
            click.option(
                "-v",
                "--verbose",
                is_flag=True,
                help="Show ordinary events too, and details of errors.",
            ),
        ],
        function,
    )


def split_commas(values: Sequence[str]) -> list[str]:
    """Take comma lists apart: ``-c a,b -c c`` names three."""
    return [word for value in values for word in value.split(",") if word]
