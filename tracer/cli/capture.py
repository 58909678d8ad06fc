"""Opening a capture for the commands that read one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tracer.cli.instant import parse_instant
from tracer.cli.value_types import split_commas
from tracer.errors import UsageError

if TYPE_CHECKING:
    from tracer.replay.replay import Replay


def open_replay(
    file: Path,
    containers: Sequence[str] = (),
    pidns: Sequence[str] = (),
    *,
    since: str | None = None,
    until: str | None = None,
    utc: bool = False,
    min_zombie_s: float | None = None,
    detail: int | None = None,
    unfolded: bool = False,
) -> Replay:
    """Open a capture with the options of the command line; ``unfolded`` keeps every process.

    Raises:
        CaptureError: It cannot be read.
        UsageError: A time or a namespace is invalid, or nothing was traced by then.
    """
    from tracer.containers.namespaces import parse_pidns
    from tracer.replay.replay import Replay, ReplayOptions, find_files

    header = find_files(file)[0][1]
    since_ns = parse_instant(since, header, utc=utc) if since is not None else None
    until_ns = parse_instant(until, header, utc=utc) if until is not None else None
    if since_ns is not None and until_ns is not None and since_ns > until_ns:
        raise UsageError(f"--since {since} is later than --until {until}")
    if until_ns is not None and until_ns < header.attached.boot_ns:
        raise UsageError(f"--until {until} is before the trace began")
    return Replay(
        file,
        ReplayOptions(
            min_zombie_ns=None if min_zombie_s is None else int(min_zombie_s * 1e9),
            containers=tuple(split_commas(containers)),
            pidns=tuple(parse_pidns(text) for text in pidns),
            since_boot_ns=since_ns,
            until_boot_ns=until_ns,
            detail=detail,
            unfolded=unfolded,
        ),
    )


def report_cuts(cuts: Sequence[tuple[Path, int]]) -> None:
    """Print where captures end that were not closed cleanly."""
    for path, offset in cuts:
        click.echo(
            f"zomtrace: {path}: not closed: it is still being written, or its recorder was killed"
            f" or ran out of disk space; read up to byte {offset}, the last whole batch",
            err=True,
        )
