"""A capture as pandas sees it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from tracer.model.annotated import Annotated
from tracer.model.identity import PidnsKey
from tracer.model.report import Report
from tracer.model.target import Container
from tracer.replay.replay import Piece, Replay, ReplayOptions
from tracer.report.jsonlines import event_to_json
from tracer.report.jsonreport import report_to_json
from tracer.tables.merge import merge_pieces
from tracer.tables.plots import Plot, plot_counts, plot_deaths, plot_lanes
from tracer.tables.tables import (
    ROWS_AT_ONCE,
    Row,
    arrow_schema,
    build_batch,
    build_batches,
    event_row,
    to_pandas,
)

if TYPE_CHECKING:
    from tracer.capture.schema import CaptureHeader

REPORT_TABLES = ("processes", "zombies", "stops", "findings")
EVENT_TABLES = ("events", "signals")


class Capture:
    """One trace, read from its file: what happened, and what it came to.

    Every call reads the file anew, but the report is kept once it was made. The
    columns of each DataFrame are listed in docs/pandas.md.

    Args:
        path: A capture, or a directory with the files of one trace.
        options: What of it; everything unless given.

    Raises:
        CaptureError: It cannot be read.

    Examples:
        >>> import tracer
        >>> cap = tracer.open_capture("web.arrows")  # doctest: +SKIP
        >>> cap.processes().groupby("cause").size()  # doctest: +SKIP
    """

    def __init__(
        self, path: str | os.PathLike[str] | Iterable[Path], options: ReplayOptions | None = None
    ) -> None:
        files = Path(path) if isinstance(path, str | os.PathLike) else list(path)
        self._files = files
        self._options = options or ReplayOptions()
        self._replay = Replay(files, self._options)
        self._report: Report | None = None
        self._whole: Report | None = None

    def __repr__(self) -> str:
        header = self.header
        return f"<Capture of {header.attached.target.description} on {header.hostname}>"

    @property
    def header(self) -> CaptureHeader:
        """Where and how it was made."""
        return self._replay.header

    @property
    def utc_offset_ns(self) -> int:
        """Added to a ``*_boot_ns``: nanoseconds since 1970 in UTC."""
        return self.header.utc_offset_ns

    @property
    def is_cut(self) -> bool:
        """Whether it was not ended in order; everything up to there is read."""
        return bool(self.cuts)

    @property
    def cuts(self) -> tuple[tuple[Path, int], ...]:
        """Where its files stop that were not ended, as (path, offset)."""
        self.report()
        return tuple(self._replay.cuts)

    def report(
        self,
        *,
        min_zombie_ns: int | None = None,
        containers: tuple[str, ...] = (),
        pidns: tuple[int, ...] = (),
        since_boot_ns: int | None = None,
        until_boot_ns: int | None = None,
    ) -> Report:
        """The report; by default as the live trace made it.

        Args:
            min_zombie_ns: Zombies shorter than this are ignored, ns.
            containers: Only these: names, ids or beginnings of ids.
            pidns: Only these PID namespaces.
            since_boot_ns: Leave out what was over before.
            until_boot_ns: End there.

        Raises:
            CaptureError: The file is corrupt; it says where.
            TargetNotFoundError: The capture knows no such container.
        """
        mine = self._options
        options = replace(
            mine,
            min_zombie_ns=mine.min_zombie_ns if min_zombie_ns is None else min_zombie_ns,
            containers=containers or mine.containers,
            pidns=pidns or mine.pidns,
            since_boot_ns=mine.since_boot_ns if since_boot_ns is None else since_boot_ns,
            until_boot_ns=mine.until_boot_ns if until_boot_ns is None else until_boot_ns,
        )
        if options != mine:
            return Replay(self._files, options).conclude()
        if self._report is None:
            self._report = self._replay.conclude()
        return self._report

    def whole_report(self) -> Report:
        """The same report with every process in it, however many: what tables are made of.

        Raises:
            CaptureError: The file is corrupt; it says where.
        """
        if self._whole is None:
            report = self.report()
            if any(report.folded.totals.values()):
                report = Replay(self._files, replace(self._options, unfolded=True)).conclude()
            self._whole = report
        return self._whole

    def annotated(self) -> Iterator[Annotated]:
        """Every event with what was concluded of it, in order of time.

        Raises:
            CaptureError: The file is corrupt; it says where.
        """
        return self._replay.annotated()

    def events(self) -> pd.DataFrame:
        """One row for each line of ``--json``, the report's own left out.

        Columns: see docs/pandas.md, events.
        """
        return self._frame("events")

    def signals(self) -> pd.DataFrame:
        """One row for each signal sent.

        Columns: see docs/pandas.md, signals.
        """
        return self._frame("signals")

    def processes(self) -> pd.DataFrame:
        """One row for each process; of a host, for each that was not uneventful.

        The report may only count it: here all are listed.

        Columns: see docs/pandas.md, processes.
        """
        return self._frame("processes")

    def zombies(self) -> pd.DataFrame:
        """One row for each process that was a zombie for long.

        Columns: see docs/pandas.md, zombies.
        """
        return self._frame("zombies")

    def stops(self) -> pd.DataFrame:
        """One row for each stop of a container or namespace.

        Columns: see docs/pandas.md, stops.
        """
        return self._frame("stops")

    def findings(self) -> pd.DataFrame:
        """One row for each finding.

        Columns: see docs/pandas.md, findings.
        """
        return self._frame("findings")

    def plot_lanes(self, *, height: int = 760) -> Plot:
        """Swim lanes, signals, tables and findings: the page of ``--format html``.

        Args:
            height: How high a notebook shows it, in pixels.
        """
        return plot_lanes(self.whole_report(), self.annotated(), height=height)

    def plot_counts(self) -> Plot:
        """How many processes lived and were zombies over the trace."""
        return plot_counts(self.whole_report(), self.annotated())

    def plot_deaths(self) -> Plot:
        """How many processes ended how, and why."""
        return plot_deaths(self.whole_report())

    def table(self, name: str) -> pa.Table:
        """One of the tables, by the name of its method, as Arrow has it."""
        return pa.Table.from_batches(self.batches(name), arrow_schema(name))

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """The same table piece by piece, however large the capture is."""
        pieces = self._replay.pieces() if name in EVENT_TABLES else None
        if pieces is None:
            return build_batches(name, self._rows(name), self.utc_offset_ns)
        return (batch for _, batch in self._merged([name], pieces))

    def all_batches(self) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Every table, by name and piece by piece, from one pass through the capture."""
        pieces = self._replay.pieces()
        if pieces is None:
            yield from self._event_batches()
        else:
            yield from self._merged(EVENT_TABLES, pieces)
        for name in REPORT_TABLES:
            for batch in self.batches(name):
                yield name, batch

    def _merged(
        self, names: Iterable[str], pieces: Iterable[Piece]
    ) -> Iterator[tuple[str, pa.RecordBatch]]:
        replay = self._replay

        def container_of(pidns: PidnsKey) -> Container | None:
            return replay.correlator.scopes.container_in(pidns)

        return merge_pieces(names, pieces, self.utc_offset_ns, container_of)

    def _event_batches(self) -> Iterator[tuple[str, pa.RecordBatch]]:
        pending: dict[str, list[Row]] = {name: [] for name in EVENT_TABLES}
        for line in self.json_lines():
            pending["events"].append(event_row(line))
            if line["kind"] == "signal":
                pending["signals"].append(line)
            for name, rows in pending.items():
                if len(rows) >= ROWS_AT_ONCE:
                    yield name, build_batch(name, rows, self.utc_offset_ns)
                    rows.clear()
        for name, rows in pending.items():
            if rows:
                yield name, build_batch(name, rows, self.utc_offset_ns)

    def json_lines(self) -> Iterator[Row]:
        """The objects ``--json`` printed live, all but the last, which is the report."""
        for annotated in self.annotated():
            line = event_to_json(annotated, self.utc_offset_ns)
            if line is not None:
                yield line

    def _frame(self, name: str) -> pd.DataFrame:
        return to_pandas(self.table(name))

    def _rows(self, name: str) -> Iterable[Row]:
        if name == "events":
            return map(event_row, self.json_lines())
        if name == "signals":
            return (line for line in self.json_lines() if line["kind"] == "signal")
        rows: list[Row] = report_to_json(self.whole_report())[name]
        return rows


def open_capture(
    path: str | os.PathLike[str],
    *,
    containers: Iterable[str] = (),
    pidns: Iterable[int] = (),
    since_boot_ns: int | None = None,
    until_boot_ns: int | None = None,
) -> Capture:
    """Open what ``-w`` or ``zomtrace record`` wrote, or a part of it.

    Args:
        path: A file, or a directory with the files of one trace.
        containers: Only these: names, ids or beginnings of ids. The rest is not
            even decoded: quick also in a large capture.
        pidns: Only these PID namespaces, and those inside them.
        since_boot_ns: Leave out of the report what was over before.
        until_boot_ns: End there.

    Raises:
        CaptureError: It cannot be read; the message names the file and where.
    """
    names = (containers,) if isinstance(containers, str) else tuple(containers)
    options = ReplayOptions(None, names, tuple(pidns), since_boot_ns, until_boot_ns)
    return Capture(path, options)
