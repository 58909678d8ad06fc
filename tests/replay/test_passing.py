"""Lives of a host counted by whole columns: the report is that of feeding each one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.support.captures import MIN_ZOMBIE_NS, live_report, write_capture
from tests.support.folded import FoldedHost
from tests.support.made_host import MadeHost
from tracer.correlate.correlator import Correlator, CorrelatorOptions
from tracer.correlate.passing import pass_lifetimes
from tracer.diagnose.summary import summarise
from tracer.model.events import LifetimeEvent, SignalEvent
from tracer.replay.replay import Replay, ReplayOptions
from tracer.report.jsonreport import render_report_file
from tracer.report.live_lines import LiveRules
from tracer.tables.capture import EVENT_TABLES, Capture
from tracer.tables.tables import arrow_schema, build_batches
from tracer.wire.decode import Decoder
from tracer.wire.layout import CONSTANTS
from tracer.wire.whole_lifetimes import find_whole_lifetimes

SIZES = {"short_lived": 997, "killed": 5, "leaked": 7, "containers": 3}
HOST, FOLDED = MadeHost(**SIZES), FoldedHost(**SIZES)


def correlator() -> Correlator:
    one = Correlator(CorrelatorOptions(min_zombie_ns=MIN_ZOMBIE_NS, keep_uneventful=False))
    one.feed(FOLDED.attached)
    return one


def test_a_folded_life_costs_one_record() -> None:
    plain = sum(len(part) for part in HOST.records())
    folded = sum(len(part) for part in FOLDED.records())
    assert plain - folded >= 3 * SIZES["short_lived"]


def test_the_report_of_a_host_is_the_same_folded_and_unfolded() -> None:
    assert render_report_file(live_report(FOLDED)) == render_report_file(live_report(HOST))


def test_nearly_all_are_counted_and_the_report_is_that_of_feeding_each_one() -> None:
    fed, counted = correlator(), correlator()
    decoder = Decoder("x86_64")
    passed = 0
    for records in FOLDED.records(100):
        for event in decoder.decode_batch(records):
            fed.feed(event)
        rows = pass_lifetimes(counted, find_whole_lifetimes(records))
        passed += int(rows.sum())
        for event in decoder.decode_batch(records[~rows]):
            counted.feed(event)
    assert passed > SIZES["short_lived"] * 9 // 10
    assert counted.uneventful_exits == fed.uneventful_exits
    assert {one.key: one.children_reaped for one in counted.table} == {
        one.key: one.children_reaped for one in fed.table
    }


def test_processes_found_to_be_gone_are_counted_as_when_fed_one_by_one() -> None:
    fed, counted = correlator(), correlator()
    decoder = Decoder("x86_64")
    passed = 0
    for records in FOLDED.records(100):
        lives = np.flatnonzero(records["kind"] == CONSTANTS["ZT_KIND_LIFETIME"])
        records["flags"][lives[::2]] |= CONSTANTS["ZT_F_FOUND"]
        for event in decoder.decode_batch(records):
            fed.feed(event)
        rows = pass_lifetimes(counted, find_whole_lifetimes(records))
        passed += int(rows.sum())
        for event in decoder.decode_batch(records[~rows]):
            counted.feed(event)
        for one in (fed, counted):
            one.pass_time(max(records["boot_ns"].tolist(), default=0))
    assert passed > SIZES["short_lived"] * 9 // 10
    assert counted.uneventful_exits == fed.uneventful_exits
    assert {one.key: one.children_reaped for one in counted.table} == {
        one.key: one.children_reaped for one in fed.table
    }
    assert render_report_file(summarise(counted)) == render_report_file(summarise(fed))


def test_who_is_found_after_its_init_ended_is_left_to_the_correlator() -> None:
    one = correlator()
    (records,) = [part for part in FOLDED.records() if len(part) > 500][:1]
    lives = records[records["kind"] == CONSTANTS["ZT_KIND_LIFETIME"]].copy()
    for place in (3, 4):
        lives[place]["pidns_level"], lives[place]["pidns_inum"] = 1, 4711
        lives[place]["init_start_boot_ns"], lives[place]["ns_pid"] = 17, 5
    lives["flags"][3] |= CONSTANTS["ZT_F_FOUND"]
    end = lives[3:4].copy()
    end["kind"] = CONSTANTS["ZT_KIND_EXIT"]
    end["host_pid"], end["start_boot_ns"], end["ns_pid"] = 70_000, 17, 1
    end["flags"] = CONSTANTS["ZT_F_GROUP_DEAD"] | CONSTANTS["ZT_F_INIT"]
    free = end.copy()
    free["kind"] = CONSTANTS["ZT_KIND_FREE"]
    for event in Decoder("x86_64").decode_batch(np.concatenate([end, free])):
        one.feed(event)
    assert not any(scope.open_stop for scope in one.scopes)
    passed = pass_lifetimes(one, find_whole_lifetimes(lives))
    assert not passed[3]
    assert passed[4]


def test_what_was_counted_for_a_parent_is_its_when_it_is_met() -> None:
    one = correlator()
    (records,) = [part for part in FOLDED.records() if len(part) > 500][:1]
    lives = records[records["kind"] == CONSTANTS["ZT_KIND_LIFETIME"]]
    assert pass_lifetimes(one, find_whole_lifetimes(lives)).all()
    parents = {(int(life["parent_host_pid"]), int(life["parent_start_boot_ns"])) for life in lives}
    assert len(parents) == 1
    for event in Decoder("x86_64").decode_batch(records[records["kind"] == 1]):
        one.feed(event)
    met = {tuple(state.key): state.children_reaped for state in one.table}
    assert met[parents.pop()] == len(lives)


@pytest.mark.parametrize(
    "change",
    [
        # A shell that passes on a child's death, a long zombie: each has its line.
        {"exit_code": 137 << 8},
        {"notified_ns": 1},
        # Not over.
        {"flags": 0},
    ],
)
def test_what_has_a_line_of_its_own_is_left_to_the_correlator(change: dict[str, int]) -> None:
    (records,) = [part for part in FOLDED.records() if len(part) > 500][:1]
    lives = records[records["kind"] == CONSTANTS["ZT_KIND_LIFETIME"]].copy()
    for name, value in change.items():
        lives[name][3] = value
    passed = pass_lifetimes(correlator(), find_whole_lifetimes(lives))
    assert not passed[3]
    assert passed.sum() == len(lives) - 1


def test_a_pid_that_another_process_has_is_left_to_the_correlator() -> None:
    one = correlator()
    (records,) = [part for part in FOLDED.records() if len(part) > 500][:1]
    lives = records[records["kind"] == CONSTANTS["ZT_KIND_LIFETIME"]].copy()
    born = lives[3:4].copy()
    born["kind"], born["start_boot_ns"], born["boot_ns"] = CONSTANTS["ZT_KIND_FORK"], 17, 18
    for event in Decoder("x86_64").decode_batch(born):
        one.feed(event)
    passed = pass_lifetimes(one, find_whole_lifetimes(lives))
    assert not passed[3]
    assert passed.sum() == len(lives) - 1


def test_a_capture_of_a_folded_host_is_replayed_as_it_was(tmp_path: Path) -> None:
    folded = write_capture(tmp_path / "folded.arrows", FOLDED)
    plain = write_capture(tmp_path / "plain.arrows", HOST)
    assert folded.stat().st_size < plain.stat().st_size * 2 // 3
    assert render_report_file(Replay(folded).conclude()) == render_report_file(
        Replay(plain).conclude()
    )
    # A zombie that was short for the kernel side is not for every reader.
    curious = ReplayOptions(min_zombie_ns=1)
    assert render_report_file(Replay(folded, curious).conclude()) == render_report_file(
        Replay(plain, curious).conclude()
    )


def test_a_lifetime_that_goes_on_is_reported_event_by_event() -> None:
    (records,) = [part for part in FOLDED.records() if len(part) > 500][:1]
    life = records[records["kind"] == CONSTANTS["ZT_KIND_LIFETIME"]][:1].copy()
    (whole,) = Decoder("x86_64").decode_batch(life)
    assert isinstance(whole, LifetimeEvent)
    life["flags"] = CONSTANTS["ZT_F_GROUP_DEAD"]
    told = Decoder("x86_64").decode_batch(life)
    assert [(type(event).__name__, event.boot_ns) for event in told] == [
        ("ForkEvent", whole.forked_ns),
        ("ExecEvent", whole.exec_ns),
        ("ExitEvent", whole.exit_ns),
        ("SignalEvent", whole.notified_ns),
    ]
    life["exec_ns"] = life["exit_ns"] = life["notified_ns"] = 0
    (born,) = Decoder("x86_64").decode_batch(life)
    assert type(born).__name__ == "ForkEvent"


def test_the_tables_of_a_host_are_the_same_by_columns_and_line_by_line(tmp_path: Path) -> None:
    capture = Capture(write_capture(tmp_path / "folded.arrows", FOLDED, batch=100))
    for name in EVENT_TABLES:
        found = capture.table(name)
        wanted = pa.Table.from_batches(
            build_batches(name, capture._rows(name), capture.utc_offset_ns), arrow_schema(name)
        )
        assert found.num_rows == wanted.num_rows
        for column in wanted.column_names:
            assert found[column].to_pylist() == wanted[column].to_pylist(), (name, column)
    pieces = capture._replay.pieces()
    assert pieces is not None
    assert sum(len(piece.lifetimes) for piece in pieces) > SIZES["short_lived"] * 9 // 10


def test_up_to_an_instant_a_folded_capture_says_what_an_unfolded_one_does(tmp_path: Path) -> None:
    folded = write_capture(tmp_path / "folded.arrows", FOLDED)
    plain = write_capture(tmp_path / "plain.arrows", HOST)
    lives = np.concatenate(list(FOLDED.records()))
    lives = lives[lives["kind"] == CONSTANTS["ZT_KIND_LIFETIME"]]
    some = lives[len(lives) // 2]
    for until_ns in (
        int(some["forked_ns"]), int(some["exec_ns"]) - 1, int(some["exit_ns"]),
        int(some["notified_ns"]), int(some["boot_ns"]) - 1,
    ):  # fmt: skip
        options = ReplayOptions(until_boot_ns=until_ns)
        found = Replay(folded, options)
        wanted = Replay(plain, options)
        assert render_report_file(found.conclude()) == render_report_file(wanted.conclude())
        key = int(some["host_pid"]), int(some["start_boot_ns"])
        assert key in {tuple(state.key) for state in found.correlator.table}


def test_a_release_that_no_hook_saw_is_no_zombie_of_as_long_as_it_took_to_find() -> None:
    (records,) = [part for part in FOLDED.records() if len(part) > 500][:1]
    lives = records[records["kind"] == CONSTANTS["ZT_KIND_LIFETIME"]].copy()
    late = lives[3:4].copy()
    late["boot_ns"] += np.uint64(2 * MIN_ZOMBIE_NS)
    told = []
    for flag in (0, CONSTANTS["ZT_F_FOUND"]):
        lives[3] = late[0]
        lives["flags"][3] |= flag
        passed = pass_lifetimes(correlator(), find_whole_lifetimes(lives))
        assert passed.sum() - passed[3] == len(lives) - 1
        one = correlator()
        (lifetime,) = one.feed_all(Decoder("x86_64").decode_batch(lives[3:4]))
        has_line = LiveRules().line_of(lifetime) is not None
        told.append((bool(passed[3]), has_line, len(summarise(one).zombies), len(one.table)))
    assert told == [(False, True, 1, 1), (True, False, 0, 0)]


def some_lives() -> Any:
    """Lives of one parent, that may all be passed over."""
    (records,) = [part for part in FOLDED.records() if len(part) > 500][:1]
    return records[records["kind"] == CONSTANTS["ZT_KIND_LIFETIME"]].copy()


@pytest.mark.parametrize("level", [0, 1])
def test_while_a_container_stops_its_lifetimes_are_left_to_the_correlator(level: int) -> None:
    one = correlator()
    init = FOLDED.attached.target.containers[0].init_host_pid
    lives = some_lives()
    lives["pidns_level"][3] = level
    assert pass_lifetimes(one, find_whole_lifetimes(lives)).all()
    for records in FOLDED.records():
        for event in Decoder("x86_64").decode_batch(records):
            one.feed(event)
            if isinstance(event, SignalEvent) and event.process.host_pid == init:
                break
    assert any(scope.open_stop is not None for scope in one.scopes)
    passed = pass_lifetimes(one, find_whole_lifetimes(lives))
    assert passed[3] == (level == 0)
    assert passed.sum() == len(lives) - level


def test_lifetimes_of_a_parent_that_changed_its_name_are_left_to_the_correlator() -> None:
    one, lives = correlator(), some_lives()
    assert pass_lifetimes(one, find_whole_lifetimes(lives)).all()
    lives["parent_comm"] = b"renamed"
    assert not pass_lifetimes(one, find_whole_lifetimes(lives)).any()


def test_a_life_without_a_parent_that_can_be_seen_is_left_to_the_correlator() -> None:
    lives = some_lives()
    lives["parent_host_pid"][3] = 0
    passed = pass_lifetimes(correlator(), find_whole_lifetimes(lives))
    assert not passed[3]
    assert passed.sum() == len(lives) - 1
