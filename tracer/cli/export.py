"""``zomtrace export``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tracer.cli.capture_options import selection_options, tell_cuts
from tracer.cli.options import split_commas

if TYPE_CHECKING:
    from tracer.frames.capture import Capture

Exporter = Callable[["Capture", Path], None]


def _parquet() -> Exporter:
    from tracer.frames.export import export_parquet

    return export_parquet


def _csv() -> Exporter:
    from tracer.frames.export import export_csv

    return export_csv


def _jsonl() -> Exporter:
    from tracer.frames.export import export_jsonl

    return export_jsonl


def _html() -> Exporter:
    from tracer.frames.pictures import export_html

    return export_html


def _perfetto() -> Exporter:
    from tracer.frames.pictures import export_perfetto

    return export_perfetto


_EXPORTERS: dict[str, Callable[[], Exporter]] = {
    "parquet": _parquet,
    "csv": _csv,
    "html": _html,
    "jsonl": _jsonl,
    "perfetto": _perfetto,
}
"""How to get what writes a format; its imports are made only then."""


@click.command("export")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "-f",
    "--format",
    "format_name",
    type=click.Choice(sorted(_EXPORTERS)),
    required=True,
    help="What to write.",
)
@click.option(
    "-O",
    "--output",
    metavar="DIR_OR_FILE",
    type=click.Path(path_type=Path),
    required=True,
    help="Where to: a directory for parquet and csv, else a file.",
)
@selection_options
def command(
    file: Path,
    format_name: str,
    output: Path,
    containers: tuple[str, ...],
    pidns: tuple[str, ...],
) -> None:
    """Write a capture in a format other programs read.

    parquet: one directory a table, partitioned by host and date; captures of many
    hosts can share it. csv: one file a table. jsonl: what --json printed live.
    html: one offline page with swim lanes, tables and findings. perfetto: a trace
    for ui.perfetto.dev.
    """
    from tracer.containers.namespaces import parse_pidns
    from tracer.frames.capture import Capture
    from tracer.session.replay import ReplayOptions

    capture = Capture(
        file,
        ReplayOptions(
            containers=tuple(split_commas(containers)),
            pidns=tuple(parse_pidns(text) for text in pidns),
        ),
    )
    _EXPORTERS[format_name]()(capture, output)
    tell_cuts(capture.cuts)
