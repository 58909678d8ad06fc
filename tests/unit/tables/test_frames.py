"""Captures as DataFrames, and as files other programs read."""

from __future__ import annotations

import csv
import errno
import json
import os
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import tracer
from tests.support.captures import header_of, write_capture
from tests.support.made_host import BEGIN_NS, SECOND_NS, UTC_OFFSET_NS, MadeHost
from tracer.capture.writer import CaptureWriter
from tracer.cli.export import _EXPORTERS
from tracer.errors import CaptureError, OutputError, TargetNotFoundError
from tracer.model.verdicts import Cause
from tracer.report.jsonlines import render_line
from tracer.report.jsonreport import render_report_line, report_to_json
from tracer.tables.capture import Capture
from tracer.tables.column import ColumnType
from tracer.tables.columns import DATASET_COLUMNS, TABLES
from tracer.tables.export import export_csv, export_jsonl, export_parquet, neutralise
from tracer.tables.tables import arrow_schema, build_batches, to_pandas

HOST = MadeHost(short_lived=53, killed=3, leaked=7, containers=5, workers=11)
BEGIN = pd.Timestamp(UTC_OFFSET_NS + BEGIN_NS, unit="ns", tz="UTC")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture of the made-up host."""
    return write_capture(tmp_path_factory.mktemp("frames") / "host.arrows", HOST)


@pytest.fixture(scope="module")
def cap(path: Path) -> Capture:
    """The same, open."""
    return tracer.open_capture(path)


# DataFrames.


def test_every_column_has_the_type_the_table_of_columns_says(cap: Capture) -> None:
    for name, columns in TABLES.items():
        frame = getattr(cap, name)()
        assert list(frame.columns) == [column.name for column in columns], name
        for column in columns:
            dtype = frame[column.name].dtype
            if column.type is ColumnType.CATEGORY:
                assert isinstance(dtype, pd.CategoricalDtype), (name, column.name)
                assert tuple(dtype.categories) == column.categories
            else:
                assert isinstance(dtype, pd.ArrowDtype), (name, column.name, dtype)


def test_what_is_never_null_by_the_table_of_columns_never_is(cap: Capture) -> None:
    for name, columns in TABLES.items():
        frame = getattr(cap, name)()
        for column in columns:
            if column.null is None:
                assert not frame[column.name].isna().any(), (name, column.name)


def test_times_are_utc_to_the_nanosecond(cap: Capture) -> None:
    stops = cap.stops()
    assert str(stops["begin_time"].dtype) == "timestamp[ns, tz=UTC][pyarrow]"
    assert stops["begin_time"].iloc[0] == BEGIN + pd.Timedelta(seconds=5)
    assert (stops["kill_time"] - stops["begin_time"]).eq(pd.Timedelta(seconds=10)).all()
    events = cap.events()
    back = events["time"].astype("int64[pyarrow]") - UTC_OFFSET_NS
    assert back.eq(events["boot_ns"]).all()


def test_the_story_of_the_host_is_in_the_frames(cap: Capture) -> None:
    processes = cap.processes()
    assert processes["cause"].value_counts()[Cause.PIDNS_TEARDOWN.value] == 55
    assert processes["cause"].value_counts()[Cause.KILL.value] == 3
    stops = cap.stops()
    assert stops["sigkilled"].sum() == 55
    assert stops["grace_ns"].eq(10 * SECOND_NS).all()
    assert len(cap.zombies()) == 7
    signals = cap.signals()
    sent = signals[signals["signal"] == "SIGTERM"]
    assert sent["sender_comm"].unique().tolist() == ["runc"]
    assert sent["sender_chain"].iloc[0] == ["containerd-shim"]
    assert "ZT101" in set(cap.findings()["code"])


def test_a_part_is_opened_by_name(path: Path) -> None:
    part = tracer.open_capture(path, containers=["made-2"])
    assert set(part.events()["container_name"].dropna()) == {"made-2"}
    assert part.stops()["container_name"].tolist() == ["made-2"]
    assert part.report(min_zombie_ns=1).stops == part.report().stops
    assert tracer.open_capture(path, containers="made-2").report() == part.report()
    ended = tracer.open_capture(path, until_boot_ns=BEGIN_NS + 6 * SECOND_NS)
    assert ended.stops()["end_time"].isna().all()
    with pytest.raises(TargetNotFoundError, match="no container 'web'"):
        tracer.open_capture(path, containers=["web"]).events()


def test_events_are_the_lines_of_json(cap: Capture) -> None:
    lines = list(cap.json_lines())
    events = cap.events()
    assert len(events) == len(lines)
    assert events["kind"].tolist() == [line["kind"] for line in lines]
    attached = json.loads(events["detail"].iloc[0])
    assert attached["kernel"] == "6.18.0"
    row = next(i for i, line in enumerate(lines) if line["kind"] == "reap")
    for key in ("host_pid", "comm", "zombie_ns", "reap_kind", "reaper_comm"):
        assert events[key].iloc[row] == lines[row][key]


def test_every_key_of_the_report_has_its_column(cap: Capture) -> None:
    report = report_to_json(cap.report())
    for name in ("processes", "zombies", "stops", "findings"):
        columns = {column.name for column in TABLES[name]}
        assert set(report[name][0]) <= columns, name


def test_a_table_without_rows_keeps_its_types() -> None:
    table = pa.Table.from_batches(build_batches("zombies", [], 0), arrow_schema("zombies"))
    assert table.num_rows == 0
    frame = to_pandas(table)
    assert isinstance(frame["reap_kind"].dtype, pd.CategoricalDtype)
    assert list(frame.columns) == [column.name for column in TABLES["zombies"]]


def test_a_part_of_a_capture_is_a_report_of_its_own(cap: Capture) -> None:
    assert len(cap.report(containers=("made-1",)).stops) == 1
    assert len(cap.report().stops) == 5


def test_a_cut_capture_says_so(path: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.arrows"
    cut.write_bytes(path.read_bytes()[:-50])
    assert tracer.open_capture(cut).is_cut
    assert not tracer.open_capture(path).is_cut


def test_what_is_no_capture_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="cannot be read"):
        tracer.open_capture(tmp_path / "none.arrows")
    with pytest.raises(AttributeError, match="no attribute 'open'"):
        tracer.open  # noqa: B018


# Many hosts.


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Captures of three hosts, one of them booted twice."""
    top = tmp_path_factory.mktemp("fleet")
    for number, (host, boot) in enumerate([("a", "b1"), ("a", "b2"), ("b", "b3"), ("c", "b4")]):
        (top / host).mkdir(exist_ok=True)
        write_capture(
            top / host / f"{boot}.arrows",
            HOST,
            hostname=host,
            boot_id=boot,
            trace_id=f"{number:032x}",
            created_unix_ns=number,
        )
    return top


@pytest.mark.parametrize("where", ["", "*/*.arrows"])
def test_captures_of_many_hosts_are_one_frame(fleet: Path, where: str) -> None:
    data = tracer.read_dataset(fleet / where if where else fleet)
    stops = data.stops()
    assert list(stops.columns)[:2] == [column.name for column in DATASET_COLUMNS]
    assert len(stops) == 4 * 5
    counted = stops.groupby(["host", "boot"], observed=True).size()
    assert counted.to_dict() == {("a", "b1"): 5, ("a", "b2"): 5, ("b", "b3"): 5, ("c", "b4"): 5}
    assert isinstance(stops["host"].dtype, pd.CategoricalDtype)
    assert isinstance(data.signals()["signal"].dtype, pd.CategoricalDtype)
    assert len(data.findings()) == 4 * len(data.captures[0].findings())


def test_a_place_without_captures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="no capture there"):
        tracer.read_dataset(tmp_path)


# Exports.


def as_objects(column: pd.Series) -> list[object]:
    """The values, null as None whatever a column calls it."""
    return [None if pd.isna(value) else value for value in column]


@pytest.fixture(scope="module")
def parquet(fleet: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of them as Parquet, one of them twice."""
    directory = tmp_path_factory.mktemp("parquet")
    captures = tracer.read_dataset(fleet).captures
    for capture in [*captures, captures[0]]:
        export_parquet(capture, directory)
    return directory


def test_parquet_is_partitioned_by_host_and_date(parquet: Path) -> None:
    found = {str(each.parent.relative_to(parquet)) for each in parquet.rglob("*.parquet")}
    assert "events/host=a/date=2023-11-14" in found
    assert "findings/host=c/date=2023-11-14" in found


def test_pandas_reads_the_parquet(parquet: Path, cap: Capture) -> None:
    frame = pd.read_parquet(parquet / "processes", dtype_backend="pyarrow")
    assert len(frame) == 4 * len(cap.processes())
    assert set(frame["host"]) == {"a", "b", "c"}
    assert set(frame["boot"]) == {"b1", "b2", "b3", "b4"}
    mine = frame[frame["boot"] == "b3"].reset_index(drop=True)
    for name in ("comm", "zombie_ns", "end_time", "cause"):
        assert as_objects(mine[name]) == as_objects(cap.processes()[name]), name


def test_pyarrow_reads_the_parquet(parquet: Path, cap: Capture) -> None:
    data = ds.dataset(parquet / "signals", partitioning="hive")
    table = data.to_table(filter=ds.field("host") == "b")
    wanted = cap.table("signals")
    assert table.num_rows == wanted.num_rows
    assert table.column("sender_chain").to_pylist() == wanted.column("sender_chain").to_pylist()
    one = next((parquet / "stops").rglob("*.parquet"))
    types = {field.name: field.type for field in pq.read_schema(one)}
    assert types["begin_time"] == pa.timestamp("ns", tz="UTC")
    assert types["grace_ns"] == pa.int64()


def test_duckdb_reads_the_parquet(parquet: Path) -> None:
    with duckdb.connect() as database:
        rows = database.execute(
            "select host, count(*), sum(sigkilled), min(grace_ns)"
            f" from read_parquet('{parquet}/stops/**/*.parquet', hive_partitioning = true)"
            " group by host order by host"
        ).fetchall()
        causes = database.execute(
            "select cause, count(*) from read_parquet(?, hive_partitioning = true)"
            " where host = 'b' and date = '2023-11-14' and cause is not null group by 1 order by 2",
            [f"{parquet}/processes/**/*.parquet"],
        ).fetchall()
    grace_ns = 10 * SECOND_NS
    assert rows == [("a", 10, 110, grace_ns), ("b", 5, 55, grace_ns), ("c", 5, 55, grace_ns)]
    assert causes == [("kill", 3), ("grace_expired", 5), ("pidns_teardown", 55)]


def test_csv_is_read_back_as_it_was(cap: Capture, tmp_path: Path) -> None:
    export_csv(cap, tmp_path)
    for name in TABLES:
        wanted = getattr(cap, name)()
        read = pd.read_csv(tmp_path / f"{name}.csv", dtype_backend="pyarrow")
        assert list(read.columns) == list(wanted.columns)
        assert len(read) == len(wanted)
    stops = pd.read_csv(tmp_path / "stops.csv")
    assert pd.to_datetime(stops["begin_time"]).tolist() == cap.stops()["begin_time"].tolist()
    with duckdb.connect() as database:
        (total,) = database.execute(
            f"select sum(sigkilled) from read_csv('{tmp_path}/stops.csv')"
        ).fetchall()[0]
    assert total == 55


HOSTILE = ["=1+1", "@SUM(A1)", "+cmd", "-2+3", "\t=1", "=HYPERLINK(1)", '"=1', "a,b", "\uff1d1"]


def test_no_name_becomes_a_formula_in_a_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "hostile.arrows"
    records = np.concatenate(list(MadeHost(short_lived=len(HOSTILE), killed=0).records()))
    for number, comm in enumerate(HOSTILE):
        records["comm"][records["host_pid"] == 10_000 + number] = comm.encode()[:15]
    attached = HOST.attached
    container = replace(HOST.container(0), name="=evil")
    target = replace(attached.target, containers=(container,))
    header = header_of(HOST, attached=replace(attached, target=target))
    writer = CaptureWriter(path, header)
    writer.write_event(header.attached)
    writer.write_records(records)
    writer.close()
    capture = tracer.open_capture(path)
    export_csv(capture, tmp_path / "csv")
    texts = {
        column.name
        for columns in TABLES.values()
        for column in columns
        if column.type in (ColumnType.STRING, ColumnType.STRINGS, ColumnType.CATEGORY)
    }
    cells = set()
    for name in TABLES:
        with (tmp_path / "csv" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                cells |= {value for key, value in row.items() if key in texts}
    assert not [cell for cell in cells if cell.startswith(tuple("=+-@\t\r\uff1d"))]
    assert {"'=1+1", "'@SUM(A1)", "'+cmd", "'-2+3", "'=evil", '"=1', "a,b"} <= cells


def test_numbers_are_left_alone_by_what_guards_against_formulas(
    cap: Capture, tmp_path: Path
) -> None:
    assert [neutralise(text) for text in ("-6", "worker", "")] == ["'-6", "worker", ""]
    export_csv(cap, tmp_path)
    signals = pd.read_csv(tmp_path / "signals.csv")
    assert signals["si_code"].dropna().dtype.kind == "f"


def test_jsonl_is_what_json_printed_live(cap: Capture, tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    export_jsonl(cap, path)
    lines = path.read_text(encoding="utf-8").splitlines()
    live = [render_line(annotated, UTC_OFFSET_NS) for annotated in cap.annotated()]
    assert lines[:-1] == [line for line in live if line is not None]
    assert lines[-1] == render_report_line(cap.report())


@pytest.mark.parametrize("name", ["parquet", "csv", "jsonl", "html", "perfetto"])
def test_an_export_is_its_owners_alone_and_whole_or_not_there(
    name: str, cap: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = _EXPORTERS[name]()
    place = tmp_path / "out"
    if name not in ("parquet", "csv"):
        place.write_text("an earlier one, for all to read")
        place.chmod(0o644)
    exporter(cap, place)
    files = [each for each in [place, *place.rglob("*")] if each.is_file()]
    assert files
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
    before = {each: each.read_bytes() for each in files}

    def fail(*_: object, **__: object) -> object:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(OutputError, match="No space left"):
        exporter(cap, place)
    left = {each: each.read_bytes() for each in [place, *place.rglob("*")] if each.is_file()}
    assert left == before


def test_an_export_goes_into_a_pipe_as_well(cap: Capture, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with open(reader, encoding="utf-8") as pipe:
        thread = threading.Thread(target=export_jsonl, args=(cap, Path(f"/dev/fd/{writer}")))
        thread.start()
        first = pipe.readline()
        os.close(writer)
        last = pipe.readlines()[-1]
        thread.join()
    assert json.loads(first)["kind"] == "attached"
    assert json.loads(last)["kind"] == "report"


def test_all_tables_come_of_one_pass_as_they_come_singly(cap: Capture) -> None:
    parts: dict[str, list[pa.RecordBatch]] = {}
    for name, batch in cap.all_batches():
        parts.setdefault(name, []).append(batch)
    assert set(parts) == set(TABLES)
    for name, batches in parts.items():
        assert pa.Table.from_batches(batches).equals(cap.table(name)), name


def test_an_export_spans_midnight(tmp_path: Path) -> None:
    day_ns = 86_400 * SECOND_NS
    to_midnight_ns = -(UTC_OFFSET_NS + BEGIN_NS) % day_ns
    attached = replace(HOST.attached, utc_offset_ns=UTC_OFFSET_NS + to_midnight_ns - 9 * SECOND_NS)
    path = write_capture(tmp_path / "a.arrows", HOST, attached=attached, hostname="odd/host")
    capture = tracer.open_capture(path)
    export_parquet(capture, tmp_path / "lake")
    read = ds.dataset(tmp_path / "lake" / "events", partitioning="hive").to_table()
    assert read.num_rows == len(capture.events())
    assert set(read.column("host").to_pylist()) == {"odd/host"}
    assert set(read.column("date").to_pylist()) == {"2023-11-14", "2023-11-15"}
    dates = pa.compute.strftime(read.column("time"), format="%Y-%m-%d")
    assert dates.to_pylist() == read.column("date").to_pylist()


# The edges.


def test_importing_tracer_is_light() -> None:
    code = (
        "import sys, tracer; tracer.open_capture;"
        "assert 'pandas' in sys.modules, 'the attribute is what loads it'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
