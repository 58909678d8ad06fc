"""Passing over ordinary lives changes no report, whatever the records are like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.replay.captures import header_of, write_capture
from tests.replay.made_host import BEGIN_NS, MadeHost, Records
from tracer.report.jsonreport import render_report_file
from tracer.session import replay as replay_module
from tracer.session.ordinary_lives import Sieve
from tracer.session.replay import Replay
from tracer.session.sieve import find_ordinary_lives
from tracer.wire.capture_writer import CaptureWriter
from tracer.wire.layout import CONSTANTS

HOST = MadeHost(short_lived=23, killed=2, leaked=2, containers=1, workers=2)
SECOND_NS = 1_000_000_000


@pytest.fixture(autouse=True)
def sieve_small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small captures are decoded as they are; here they are not."""
    monkeypatch.setattr(replay_module, "_SIEVED_BYTES", 0)


def write(path: Path, records: Records, *, with_end: bool = True) -> Path:
    """A capture of some records."""
    writer = CaptureWriter(path, header_of(HOST))
    writer.write_event(HOST.attached)
    for start in range(0, len(records), 37):
        writer.write_records(records[start : start + 37])
    if with_end:
        writer.write_event(HOST.end)
    writer.close(is_whole=with_end)
    return path


def both_reports(path: Path) -> tuple[str, str]:
    """The report without ordinary lives, and that of every record."""
    quick, full = Replay(path), Replay(path)
    full.sieves = False
    return render_report_file(quick.conclude()), render_report_file(full.conclude())


def find_lives(path: Path, min_zombie_ns: int = SECOND_NS) -> Sieve:
    """The ordinary lives in a capture."""
    sieve = find_ordinary_lives([path], min_zombie_ns)
    assert sieve is not None
    return sieve


def all_records() -> Records:
    """The made-up host's, as one."""
    return np.concatenate(list(HOST.records()))


def test_ordinary_lives_are_found_and_nothing_else(tmp_path: Path) -> None:
    path = write_capture(tmp_path / "a.arrows", HOST)
    sieve = find_lives(path)
    assert len(sieve.ordinary) == HOST.short_lived
    assert sum(sieve.reaped.values()) == HOST.short_lived
    quick, full = both_reports(path)
    assert quick == full


def test_of_a_life_that_is_not_ordinary_every_record_is_kept(tmp_path: Path) -> None:
    slow = find_lives(write_capture(tmp_path / "a.arrows", HOST), 100_000)
    assert len(slow.ordinary) == 0


@pytest.mark.parametrize("with_end", [True, False])
def test_the_trace_ends_with_its_last_record_ordinary_or_not(
    tmp_path: Path, with_end: bool
) -> None:
    path = write(tmp_path / "a.arrows", all_records(), with_end=with_end)
    quick, full = both_reports(path)
    assert quick == full


def test_who_is_met_late_is_not_counted_for_what_it_reaped_before(tmp_path: Path) -> None:
    records = all_records()
    daemon = (records["host_pid"] == 700) & (records["kind"] == CONSTANTS["ZT_KIND_PROCESS"])
    # Seeded when its first child was gone already, as may be while a trace begins.
    records["boot_ns"][daemon] += np.uint64(2 * SECOND_NS)
    path = write(tmp_path / "a.arrows", records[np.argsort(records["boot_ns"], kind="stable")])
    assert len(find_lives(path).ordinary) < HOST.short_lived
    quick, full = both_reports(path)
    assert quick == full


FIELDS = {
    "threads": ("live_threads", 3),
    "no_exit_signal": ("exit_signal", 0),
    "ignored": ("flags", CONSTANTS["ZT_F_NOTIFY"] | CONSTANTS["ZT_F_NOCLDWAIT"]),
    "other_namespace": ("pidns_level", 1),
    "killed": ("exit_code", 9),
    "traced": ("tracer_host_pid", 4242),
    "late": ("boot_ns", 2 * SECOND_NS),
}
MUTATIONS = (
    "lose", "rename", "reuse_pid", "unnamed_child", "signal", "adopt", "bare", "reap", "nest",
    *FIELDS,
)  # fmt: skip


NAMINGS = {
    "host_pid": "start_boot_ns",
    "parent_host_pid": "parent_start_boot_ns",
    "cur_host_pid": "cur_start_boot_ns",
    "child_pid": "child_start_boot_ns",
}
"""How a record says who is meant."""


def nest(records: Records, row: int, other: int) -> Records:
    """Make one process the child of another, all but its release within its father's life."""

    def rows_of(number: int, pid: str) -> npt.NDArray[np.intp]:
        one = records[number]
        return np.flatnonzero(
            (records[pid] == one["host_pid"]) & (records[NAMINGS[pid]] == one["start_boot_ns"])
        )

    father = records[other].copy()
    fathers, its, told = (
        rows_of(other, "host_pid"), rows_of(row, "host_pid"), rows_of(row, "child_pid"),
    )  # fmt: skip
    if row in fathers or not records["host_pid"][row] or not father["host_pid"]:
        return records
    named = {pid: rows_of(row, pid) for pid in NAMINGS}
    records = records.copy()
    for pid, start in NAMINGS.items():
        records[start][named[pid]] = father["start_boot_ns"] + np.uint64(1)
    is_fork = records["kind"][its] == CONSTANTS["ZT_KIND_FORK"]
    for name in ("host_pid", "start_boot_ns", "comm"):
        records["parent_" + name][its] = father[name]
        records[name][told] = father[name]
        records["cur_" + name][its[is_fork]] = father[name]
    both = np.union1d(its, told)
    first_ns, last_ns = records["boot_ns"][fathers].min(), records["boot_ns"][fathers].max()
    records["boot_ns"][both] = first_ns + 1 + np.arange(len(both), dtype=np.uint64)
    is_release = records["kind"][its] == CONSTANTS["ZT_KIND_FREE"]
    records["boot_ns"][its[is_release]] = last_ns + np.uint64(1)
    return records[np.argsort(records["boot_ns"], kind="stable")]


def mutate(records: Records, kind: str, row: int, other: int) -> Records:
    """Make something happen that is not in the made-up host's story."""
    at = records[row : row + 1]
    if kind == "lose":
        return np.delete(records, row)
    if kind == "rename":
        for name in ("comm", "parent_comm", "cur_comm"):
            at[name] = b"renamed"
    elif kind == "reuse_pid":
        mine, theirs = at["host_pid"][0], records["host_pid"][other]
        for name in ("host_pid", "child_pid", "cur_host_pid"):
            records[name][records[name] == mine] = theirs
    elif kind == "unnamed_child":
        at["child_pid"] = at["child_start_boot_ns"] = 0
    elif kind == "signal":
        at["kind"], at["sig"] = CONSTANTS["ZT_KIND_SIGNAL"], 15
        at["info"], at["live_threads"] = CONSTANTS["ZT_INFO_POINTER"], 1
    elif kind == "adopt":
        at["parent_host_pid"], at["parent_start_boot_ns"] = 1, 1_000_000
    elif kind == "bare":
        at["kind"], at["start_boot_ns"] = CONSTANTS["ZT_KIND_OOM"], 0
    elif kind == "nest":
        return nest(records, row, other)
    elif kind == "reap":
        at["kind"] = CONSTANTS["ZT_KIND_REAP"]
        at["cur_host_pid"] = records["host_pid"][other]
        at["cur_start_boot_ns"] = records["start_boot_ns"][other]
    else:
        name, value = FIELDS[kind]
        at[name] = value if name != "boot_ns" else at[name] + np.uint64(value)
    return records[np.argsort(records["boot_ns"], kind="stable")]


@settings(
    max_examples=50,
    deadline=None,
    # An example takes two reports: shrinking one would take minutes.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_disorder_makes_the_two_reports_differ(tmp_path: Path, data: st.DataObject) -> None:
    records = all_records()
    for _ in range(data.draw(st.integers(1, 6), label="how many")):
        kind = data.draw(st.sampled_from(MUTATIONS))
        row = data.draw(st.integers(0, len(records) - 1))
        other = data.draw(st.integers(0, len(records) - 1))
        records = mutate(records, kind, row, other)
    assert records["boot_ns"].min() >= BEGIN_NS
    quick, full = both_reports(write(tmp_path / "a.arrows", records))
    assert quick == full
