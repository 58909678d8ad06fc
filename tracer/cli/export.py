"""``zomtrace export``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tracer.cli.capture import report_cuts
from tracer.cli.options import selection_options, verbose_option
from tracer.cli.value_types import NamedPath, split_commas

if TYPE_CHECKING:
    from tracer.tables.capture import Capture

Exporter = Callable[["Capture", Path], None]


def _parquet() -> Exporter:
    from tracer.tables.export import export_parquet

    return export_parquet


def _csv() -> Exporter:
    from tracer.tables.export import export_csv

    return export_csv


def _jsonl() -> Exporter:
    from tracer.tables.export import export_jsonl

    return export_jsonl


def _html() -> Exporter:
    from tracer.tables.pictures import export_html

    return export_html


def _perfetto() -> Exporter:
    from tracer.tables.pictures import export_perfetto

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
@click.argument("file", metavar="FILE", type=NamedPath())
@click.option(
    "-f",
    "--format",
    "format_name",
    type=click.Choice(sorted(_EXPORTERS)),
    required=True,
    help="Output format.",
)
@click.option(
    "-O",
    "--output",
    metavar="DIR_OR_FILE",
    type=NamedPath(),
    required=True,
    help="Output path: a directory for parquet and csv, otherwise a file.",
)
@selection_options
@verbose_option
def command(
    file: Path,
    format_name: str,
    output: Path,
    containers: tuple[str, ...],
    pidns: tuple[str, ...],
) -> None:
    """Convert a capture to another format.

    parquet: one directory per table, partitioned by host and date; captures of many
    hosts can share it. csv: one file per table. jsonl: the lines that --json prints.
    html: one offline page with swim lanes, tables and findings. perfetto: a trace
    for ui.perfetto.dev.
    """
    from tracer.containers.namespaces import parse_pidns
    from tracer.replay.replay import ReplayOptions
    from tracer.tables.capture import Capture

    capture = Capture(
        file,
        ReplayOptions(
            containers=tuple(split_commas(containers)),
            pidns=tuple(parse_pidns(text) for text in pidns),
        ),
    )
    _EXPORTERS[format_name]()(capture, output)
    report_cuts(capture.cuts)
