"""Rows made by whole columns are the rows the correlator's lines make, in their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.replay.captures import write_capture
from tests.replay.made_host import BEGIN_NS, Records
from tests.replay.test_capture_sieve import FIELDS, HOST, MUTATIONS, all_records, mutate, write
from tracer.errors import CaptureError
from tracer.frames.capture import EVENT_TABLES, Capture
from tracer.report.jsonreport import render_report_file
from tracer.session import pieces as pieces_module
from tracer.session import plain_lives as lives_module
from tracer.session import replay as replay_module
from tracer.session.pieces import Piece
from tracer.session.replay import Replay, ReplayOptions
from tracer.wire.layout import CONSTANTS

_KIND = {name: CONSTANTS[f"ZT_KIND_{name}"] for name in ("FORK", "EXEC", "EXIT", "FREE", "REAP")}


@pytest.fixture(autouse=True)
def sieve_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small captures are decoded as they are; here they are not."""
    monkeypatch.setattr(replay_module, "_SIEVED_BYTES", 0)
    monkeypatch.setattr(lives_module, "WORTH_IT_RECORDS", 1)


def line_by_line(path: Path) -> Capture:
    """The capture, every record of it decoded."""
    capture = Capture(path)
    capture._replay.sieves = False
    return capture


def assert_equal_tables(quick: dict[str, pa.Table], full: dict[str, pa.Table]) -> None:
    """Column by column, row by row."""
    for name, wanted in full.items():
        found = quick[name]
        assert found.schema == wanted.schema
        for column in wanted.column_names:
            assert found[column].to_pylist() == wanted[column].to_pylist(), (name, column)
        assert found.equals(wanted), name


def tables_of(capture: Capture) -> dict[str, pa.Table]:
    """The tables by one pass."""
    parts: dict[str, list[pa.RecordBatch]] = {name: [] for name in EVENT_TABLES}
    for name, batch in capture.all_batches():
        if name in parts:
            parts[name].append(batch)
    return {
        name: pa.Table.from_batches(batches, batches[0].schema)
        for name, batches in parts.items()
        if batches
    }


def assert_equal(path: Path) -> None:
    """Both ways say the same, in the tables and in the report that comes of the pass."""
    quick, full = Capture(path), line_by_line(path)
    assert_equal_tables(tables_of(quick), tables_of(full))
    assert render_report_file(quick.report()) == render_report_file(full.report())


def plain_in(path: Path) -> int:
    """How many lives are told by columns."""
    pieces = Replay(path).pieces()
    assert pieces is not None
    return sum(_count(piece) for piece in pieces)


def _count(piece: Piece) -> int:
    return 0 if piece.lives is None else len(piece.lives.sieve.ordinary)


def test_of_the_made_up_host_every_ordinary_life_is_told_by_columns(tmp_path: Path) -> None:
    path = write_capture(tmp_path / "a.arrows", HOST)
    assert plain_in(path) == HOST.short_lived
    assert_equal(path)
    for name in EVENT_TABLES:
        assert Capture(path).table(name).equals(line_by_line(path).table(name)), name


@pytest.mark.parametrize("records", [1, 53])
def test_a_life_that_goes_over_the_edge_of_a_piece_is_told_line_by_line(
    tmp_path: Path, records: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces_module, "PIECE_RECORDS", records)
    path = write(tmp_path / "a.arrows", all_records())
    assert 0 < plain_in(path) < HOST.short_lived
    assert_equal(path)


def test_batches_are_of_a_bounded_size_however_the_rows_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracer.frames.merge.ROWS_AT_ONCE", 10)
    path = write_capture(tmp_path / "a.arrows", HOST)
    sizes = [batch.num_rows for batch in Capture(path).batches("events")]
    assert set(sizes[:-1]) == {10}
    assert 0 < sizes[-1] <= 10
    assert_equal(path)


def test_where_a_container_shares_the_hosts_namespace_every_record_is_decoded(
    tmp_path: Path,
) -> None:
    attached = HOST.attached
    shared = replace(attached.target.containers[0], has_own_pidns=False, cgroup_id=42)
    target = replace(attached.target, containers=(shared,))
    path = write_capture(tmp_path / "a.arrows", HOST, attached=replace(attached, target=target))
    quick, full = Capture(path), line_by_line(path)
    assert_equal_tables(tables_of(quick), tables_of(full))


def test_a_capture_that_was_cut_is_read_as_far_both_ways(tmp_path: Path) -> None:
    path = write(tmp_path / "a.arrows", all_records(), with_end=False)
    path.write_bytes(path.read_bytes()[:-1000])
    quick, full = Capture(path), line_by_line(path)
    assert quick.table("events").equals(full.table("events"))
    assert quick.is_cut
    assert quick.cuts == full.cuts


def test_a_corrupt_capture_is_named_with_its_offset_both_ways(tmp_path: Path) -> None:
    records = all_records()
    records["info"][100] = 77
    path = write(tmp_path / "a.arrows", records)
    said = []
    for capture in (Capture(path), line_by_line(path)):
        with pytest.raises(CaptureError) as error:
            capture.table("events")
        said.append(str(error.value))
    assert said[0] == said[1]
    assert "corrupt at byte" in said[0]


@pytest.mark.parametrize(
    "options",
    [
        ReplayOptions(containers=("made-0",)),
        ReplayOptions(pidns=(4026540000,)),
        ReplayOptions(since_boot_ns=BEGIN_NS),
        ReplayOptions(until_boot_ns=BEGIN_NS),
    ],
    ids=["container", "pidns", "since", "until"],
)
def test_of_a_part_every_record_is_decoded(tmp_path: Path, options: ReplayOptions) -> None:
    path = write_capture(tmp_path / "a.arrows", HOST)
    assert Replay(path, options).pieces() is None


def grandchildren(renamed_at: str) -> Records:
    """Half of the short-lived fork the other half, and change their name on the way."""
    records = all_records()
    short = records["parent_host_pid"] == 700
    pids = np.unique(records["host_pid"][short & (records["comm"] == b"job")])
    fathers, children = pids[:11], pids[11:22]
    for father, child in zip(fathers.tolist(), children.tolist(), strict=True):
        about = (records["host_pid"] == father) & (records["comm"] == b"job")
        start = records["start_boot_ns"][about][0]
        own = (records["host_pid"] == child) & (records["comm"] == b"job")
        told = records["child_pid"] == child
        # Born after the father's exec, gone before its end.
        begin = records["start_boot_ns"][own][0]
        moved = np.uint64(start + 100_000)
        for rows in (own, told):
            records["boot_ns"][rows] = moved + (records["boot_ns"][rows] - begin) // np.uint64(10)
        records["start_boot_ns"][own] = moved
        records["ns_pid"][told] = father
        records["child_start_boot_ns"][told] = records["cur_start_boot_ns"][told] = moved
        for rows in (own, told):
            prefix = "parent_" if rows is own else ""
            records[f"{prefix}host_pid"][rows] = father
            records[f"{prefix}start_boot_ns"][rows] = start
            records[f"{prefix}comm"][rows] = b"renamed"
        forks = own & (records["kind"] == _KIND["FORK"])
        records["cur_host_pid"][forks], records["cur_start_boot_ns"][forks] = father, start
        records["cur_comm"][forks] = b"renamed"
        if renamed_at == "exec":
            after = about & (records["kind"] != _KIND["FORK"])
            records["comm"][after] = b"renamed"
            notice = (records["child_pid"] == father) & (records["cur_host_pid"] == father)
            records["cur_comm"][notice] = b"renamed"
    return records[np.argsort(records["boot_ns"], kind="stable")]


@pytest.mark.parametrize("renamed_at", ["exec", "by a child alone"])
def test_a_parent_reaps_by_the_name_it_has_then(tmp_path: Path, renamed_at: str) -> None:
    path = write(tmp_path / "a.arrows", grandchildren(renamed_at))
    assert plain_in(path) == HOST.short_lived
    names = Capture(path).events()["reaper_comm"].value_counts()
    assert names["renamed"] == 11
    assert_equal(path)


def unreaped_parent(how: str) -> Records:
    """The daemon is forked as the trace begins, gets another name, and stays."""
    records = all_records()
    seeded = np.flatnonzero((records["host_pid"] == 700) & (records["comm"] == b"daemon"))[0]
    fork, run = records[seeded : seeded + 1].copy(), records[seeded : seeded + 1].copy()
    fork["kind"], fork["comm"], fork["exit_signal"] = _KIND["FORK"], b"shell", 17
    fork["cur_host_pid"], fork["cur_start_boot_ns"], fork["cur_comm"] = 1, 1_000_000, b"init"
    run["kind"], run["boot_ns"] = _KIND["EXEC"], run["boot_ns"] + np.uint64(1)
    records[seeded : seeded + 1] = fork
    if how == "exec":
        records = np.concatenate([records, run])
    return records[np.argsort(records["boot_ns"], kind="stable")]


@pytest.mark.parametrize("how", ["exec", "by its children alone"])
def test_a_parent_that_stays_may_get_its_name_by_exec(tmp_path: Path, how: str) -> None:
    path = write(tmp_path / "a.arrows", unreaped_parent(how))
    assert plain_in(path) == (HOST.short_lived if how == "exec" else 0)
    assert_equal(path)


def test_an_exact_release_is_told_as_one(tmp_path: Path) -> None:
    records = all_records()
    free = (records["kind"] == _KIND["FREE"]) & (records["parent_host_pid"] == 700)
    records["kind"][free] = _KIND["REAP"]
    records["cur_host_pid"][free], records["cur_start_boot_ns"][free] = 700, 3_000_700
    records["cur_comm"][free] = b"daemon"
    path = write(tmp_path / "a.arrows", records)
    assert plain_in(path) == HOST.short_lived
    assert Capture(path).events()["precision"].value_counts()["exact"] >= HOST.short_lived
    assert_equal(path)


def test_a_pid_that_is_given_away_before_its_release_is_told(tmp_path: Path) -> None:
    records = all_records()
    short = np.unique(records["host_pid"][(records["comm"] == b"job")])
    first, second = short[:2].tolist()
    # Freed late, an RCU grace period after its pid was another's.
    free = (records["host_pid"] == first) & (records["kind"] == _KIND["FREE"])
    birth = records["boot_ns"][records["host_pid"] == second].min()
    records["boot_ns"][free] = birth + np.uint64(1_000)
    for name in ("host_pid", "ns_pid", "child_pid", "cur_host_pid"):
        records[name][records[name] == second] = first
    records = records[np.argsort(records["boot_ns"], kind="stable")]
    path = write(tmp_path / "a.arrows", records)
    assert_equal(path)


def test_hostile_names_come_out_as_they_do_in_lines(tmp_path: Path) -> None:
    records = all_records()
    for at, name in enumerate(
        (b"\x1b[2J\nx", b"\xff\xfe", "żółw\u202e".encode(), b'"{}\\', b"=1+1")
    ):
        pid = np.unique(records["host_pid"][records["comm"] == b"job"])[at]
        own = records["host_pid"] == pid
        records["comm"][own] = name
        records["cur_comm"][records["cur_host_pid"] == pid] = name
    path = write(tmp_path / "a.arrows", records)
    assert plain_in(path) == HOST.short_lived
    assert_equal(path)


ROW_MUTATIONS = (
    *MUTATIONS, *FIELDS, "unnamed", "prctl", "code", "blocked", "swap", "twice", "elder", "no_info",
)  # fmt: skip


def mutate_row(records: Records, kind: str, row: int, other: int) -> Records:
    """Also what a report would not tell of."""
    at = records[row : row + 1]
    if kind == "unnamed":
        for name in ("comm", "parent_comm", "cur_comm"):
            at[name] = b""
    elif kind == "prctl":
        at[("comm", "parent_comm", "cur_comm")[other % 3]] = b"another"
    elif kind == "code":
        at["exit_code"] = (other % 256) << 8
    elif kind == "blocked":
        at["flags"] |= CONSTANTS["ZT_F_BLOCKED"]
        at["action"], at["result"], at["si_code"] = other % 4, other % 5, -1
    elif kind == "swap":
        at["boot_ns"], records["boot_ns"][other] = records["boot_ns"][other], at["boot_ns"][0]
    elif kind == "twice":
        records = np.concatenate([records, at])
    elif kind == "elder":
        at["start_boot_ns"], at["child_start_boot_ns"] = 1_000, 1_000
    elif kind == "no_info":
        at["info"], at["ns_pid"], at["cgroup_id"] = other % 3, other % 2, 0
    else:
        return mutate(records, kind, row, other)
    return records[np.argsort(records["boot_ns"], kind="stable")]


STORIES: tuple[Callable[[], Records], ...] = (
    all_records,
    lambda: grandchildren("exec"),
    lambda: grandchildren("by a child alone"),
    lambda: unreaped_parent("exec"),
    lambda: unreaped_parent("by its children alone"),
)


@settings(
    max_examples=120,
    deadline=None,
    # An example takes two passes: shrinking one would take minutes.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_disorder_and_no_edge_makes_two_rows_differ(tmp_path: Path, data: st.DataObject) -> None:
    records = data.draw(st.sampled_from(STORIES))()
    for _ in range(data.draw(st.integers(1, 6), label="how many")):
        kind = data.draw(st.sampled_from(ROW_MUTATIONS))
        row = data.draw(st.integers(0, len(records) - 1))
        other = data.draw(st.integers(0, len(records) - 1))
        records = mutate_row(records, kind, row, other)
    assert records["boot_ns"].min() >= BEGIN_NS
    path = write(tmp_path / "a.arrows", records)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces_module, "PIECE_RECORDS", data.draw(st.sampled_from((40, 120, 10_000))))
        assert_equal(path)
