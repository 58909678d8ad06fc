"""Captures of many hosts and boots as one set of DataFrames."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import pandas as pd
import pyarrow as pa

from tracer.capture.names import SUFFIX
from tracer.errors import CaptureError
from tracer.replay.replay import read_headers
from tracer.tables.capture import Capture
from tracer.tables.columns import DATASET_COLUMNS
from tracer.tables.tables import to_pandas


class Dataset:
    """Many captures; each table is that of all of them, one below the other.

    Attributes:
        captures: One for each trace, by host and time.
    """

    def __init__(self, captures: list[Capture]) -> None:
        self.captures = captures

    def __repr__(self) -> str:
        hosts = {capture.header.hostname for capture in self.captures}
        return f"<Dataset of {len(self.captures)} captures of {len(hosts)} hosts>"

    def events(self) -> pd.DataFrame:
        """See :meth:`Capture.events`; ``host`` and ``boot`` come first."""
        return self._frame("events")

    def signals(self) -> pd.DataFrame:
        """See :meth:`Capture.signals`; ``host`` and ``boot`` come first."""
        return self._frame("signals")

    def processes(self) -> pd.DataFrame:
        """See :meth:`Capture.processes`; ``host`` and ``boot`` come first."""
        return self._frame("processes")

    def zombies(self) -> pd.DataFrame:
        """See :meth:`Capture.zombies`; ``host`` and ``boot`` come first."""
        return self._frame("zombies")

    def stops(self) -> pd.DataFrame:
        """See :meth:`Capture.stops`; ``host`` and ``boot`` come first."""
        return self._frame("stops")

    def findings(self) -> pd.DataFrame:
        """See :meth:`Capture.findings`; ``host`` and ``boot`` come first."""
        return self._frame("findings")

    def table(self, name: str) -> pa.Table:
        """One of the tables as Arrow has it."""
        return pa.concat_tables(
            [with_origin(capture.table(name), capture) for capture in self.captures]
        )

    def _frame(self, name: str) -> pd.DataFrame:
        return to_pandas(self.table(name))


def with_origin(table: pa.Table, capture: Capture) -> pa.Table:
    """Put the columns ``host`` and ``boot`` before a table's own."""
    header = capture.header
    for column, value in zip(
        reversed(DATASET_COLUMNS), (header.boot_id, header.hostname), strict=True
    ):
        array = pa.DictionaryArray.from_arrays(
            pa.nulls(table.num_rows, pa.int32()).fill_null(0), pa.array([value], pa.string())
        )
        table = table.add_column(0, column.name, array)
    return table


def read_dataset(where: str | os.PathLike[str]) -> Dataset:
    """Read the captures of many hosts.

    Args:
        where: A directory, looked through with all below it, or a pattern
            (``/captures/*/2026-11-*.arrows``).

    Raises:
        CaptureError: There is none, or one cannot be read.
    """
    paths = _find(Path(where))
    if not paths:
        raise CaptureError(f"{where}: no capture there", hint=f"captures end in {SUFFIX}")
    traces: dict[str, list[tuple[int, Path]]] = {}
    for path, header in read_headers(paths):
        traces.setdefault(header.trace_id, []).append((header.sequence, path))
    captures = [Capture([path for _, path in sorted(files)]) for files in traces.values()]
    captures.sort(key=lambda capture: (capture.header.hostname, capture.header.created_unix_ns))
    return Dataset(captures)


def _find(where: Path) -> list[Path]:
    if where.is_dir():
        return sorted(where.rglob(f"*{SUFFIX}"))
    if where.is_file():
        return [where]
    return sorted(Path(found) for found in glob.glob(os.fspath(where), recursive=True))
