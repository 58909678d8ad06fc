"""What the commands that read a capture have in common."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tracer.cli.options import Seconds, split_commas
from tracer.errors import UsageError

if TYPE_CHECKING:
    from tracer.session.replay import Replay
    from tracer.wire.capture_schema import CaptureHeader

F = TypeVar("F", bound=Callable[..., Any])

_TIME_OF_DAY = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?", re.ASCII)
_FRACTION = re.compile(r"\.(\d+)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def selection_options(function: F) -> F:
    """Add the options that pick some processes of a capture."""
    for option in (
        click.option(
            "--pidns",
            "pidns",
            metavar="INUM",
            multiple=True,
            help="Only this PID namespace, and those inside it.",
        ),
        click.option(
            "-c",
            "--container",
            "containers",
            metavar="ID|NAME",
            multiple=True,
            help="Only this container: an id, the beginning of one or a name.",
        ),
    ):
        function = option(function)
    return function


def open_replay(
    file: Path,
    containers: Sequence[str] = (),
    pidns: Sequence[str] = (),
    *,
    since: str | None = None,
    until: str | None = None,
    utc: bool = False,
    min_zombie_s: float | None = None,
) -> Replay:
    """Open a capture as the command line asks for it.

    Raises:
        CaptureError: It cannot be read.
        UsageError: A time or a namespace is none.
    """
    from tracer.containers.namespaces import parse_pidns
    from tracer.session.replay import Replay, ReplayOptions, find_files

    header = find_files(file)[0][1]
    since_ns = parse_instant(since, header, utc=utc) if since is not None else None
    until_ns = parse_instant(until, header, utc=utc) if until is not None else None
    if since_ns is not None and until_ns is not None and since_ns > until_ns:
        raise UsageError(f"--since {since} is later than --until {until}")
    return Replay(
        file,
        ReplayOptions(
            min_zombie_ns=None if min_zombie_s is None else int(min_zombie_s * 1e9),
            containers=tuple(split_commas(containers)),
            pidns=tuple(parse_pidns(text) for text in pidns),
            since_boot_ns=since_ns,
            until_boot_ns=until_ns,
        ),
    )


def tell_cuts(cuts: Sequence[tuple[Path, int]]) -> None:
    """Say where a capture stops that was not ended in order."""
    for path, offset in cuts:
        click.echo(
            f"zomtrace: {path}: not ended: still being written, or its recorder was killed or ran"
            f" out of disk; read up to byte {offset}, its last whole batch",
            err=True,
        )


def parse_instant(text: str, header: CaptureHeader, *, utc: bool) -> int:
    """Read an instant as CLOCK_BOOTTIME of the host traced, ns.

    Args:
        text: ``10:46[:48[.123]]`` on the day the trace began, RFC 3339 with or
            without a zone, ``+5s`` after its begin, ``-1m`` before now.
        header: Of the capture.
        utc: A time without a zone is UTC, not local.

    Raises:
        UsageError: It is none of these.
    """
    begin_ns = header.attached.boot_ns + header.utc_offset_ns
    written = text.strip()
    if written[:1] in ("+", "-"):
        distance_ns = int(Seconds().convert(written[1:], None, None) * 1e9)
        unix_ns = begin_ns + distance_ns if written[0] == "+" else time.time_ns() - distance_ns
        return unix_ns - header.utc_offset_ns
    try:
        moment, ns = _parse_wall_clock(written, begin_ns, utc=utc)
    except ValueError as error:
        raise UsageError(
            f"{text!r} is no time",
            hint="write 10:46:48, 2026-11-22T10:46:48Z, +5s (after the begin) or -1m (before now)",
        ) from error
    unix_ns = (moment - _EPOCH) // timedelta(seconds=1) * 1_000_000_000 + ns
    return unix_ns - header.utc_offset_ns


def _parse_wall_clock(text: str, begin_ns: int, *, utc: bool) -> tuple[datetime, int]:
    match = _TIME_OF_DAY.fullmatch(text)
    if match is not None:
        begin = datetime.fromtimestamp(begin_ns // 1_000_000_000, UTC)
        day = begin if utc else begin.astimezone()
        moment = day.replace(
            hour=int(match[1]), minute=int(match[2]), second=int(match[3] or 0), microsecond=0
        )
        return moment.astimezone(UTC), int((match[4] or "0").ljust(9, "0"))
    fraction = _FRACTION.search(text)
    ns = int(fraction[1][:9].ljust(9, "0")) if fraction else 0
    moment = datetime.fromisoformat(_FRACTION.sub("", text))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC) if utc else moment.astimezone()
    return moment.astimezone(UTC), ns
