"""How the values of options are read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from tracer.model.signals import parse_signal
from tracer.model.verdicts import FINDING_KINDS

_DURATION = re.compile(r"(\d{1,9}(?:\.\d+)?)(ms|s|m|h|)", re.ASCII)
_UNIT_S = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}


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


class NamedPath(click.ParamType[Path]):
    """A path; an empty one is a variable that was never set, not this directory."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Make a path of it."""
        if not str(value):
            self.fail("the path is empty: name a file or a directory", param, ctx)
        return Path(value)


def split_commas(values: Sequence[str]) -> list[str]:
    """Take comma lists apart: ``-c a,b -c c`` names three."""
    return [word for value in values for word in value.split(",") if word]
