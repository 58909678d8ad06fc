"""Lines of ordinary lifetimes made by columns: to the byte those of single events."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.random_lifetimes import correlator, made_lives, records_of
from tracer.cli.passed_output import PassedLines
from tracer.correlate.passing import pass_lifetimes
from tracer.live.passed import PassedLifetimes
from tracer.live.pending_readings import PendingReadings
from tracer.model.events import ObservationEvent
from tracer.report.jsonlines import render_line
from tracer.report.lifetime_lines import render_lifetimes
from tracer.wire.decode import Decoder
from tracer.wire.whole_lifetimes import WORTH_IT, find_whole_lifetimes

OFFSET_NS = 1_700_000_000_123_456_789


@pytest.mark.parametrize("seed", range(40))
def test_a_line_made_of_columns_is_that_of_the_event(seed: int) -> None:
    records = records_of(made_lives(seed, WORTH_IT + 5 * seed))
    fed, counted = correlator(), correlator()
    passed = pass_lifetimes(counted, find_whole_lifetimes(records))
    # Where a parent changes its name, its children are told one by one.
    found = render_lifetimes(records[passed], OFFSET_NS, counted.scopes.container_in)
    wanted = []
    for is_passed, events in zip(passed, Decoder("x86_64").decode_each(records), strict=True):
        lines = [render_line(one, OFFSET_NS) for one in fed.feed_all(events)]
        wanted += lines if is_passed else []
    for mine, theirs in zip(found, wanted, strict=True):
        assert mine == theirs


def test_nearly_all_of_a_plain_batch_have_their_lines_made_of_columns() -> None:
    lifetime = {
        "comm": b"sh", "parent_comm": b"make", "executed": b"", "exit_code": 3,
        "lasts": (1, 2, 3), "parent": 2, "ns_pid": 7, "cgroup_id": 9, "flags": "FOUND",
        "is_contained": True,
    }  # fmt: skip
    records = records_of([lifetime] * 99)
    assert pass_lifetimes(correlator(), find_whole_lifetimes(records)).all()


def test_lines_and_readings_stand_in_order_of_time() -> None:
    told: list[str] = []
    pending = PendingReadings(lambda reading: told.append(f"reading {reading.boot_ns}"))
    for at_ns in (15, 20, 99):
        pending.add(ObservationEvent(at_ns, "proc", None, {}))

    class Sink:
        def begin(self, lifetimes: Any, container_of: Any) -> None: ...

        def show(self, number: int) -> None:
            told.append(f"{number} lifetimes")

    passed = PassedLifetimes(Sink(), pending, [0, 1, 3, 4], [10, 15, 30, 40])
    passed.show_before(2, 25)
    told.append("record 25")
    passed.show_rest()
    assert told == ["2 lifetimes", "reading 15", "reading 20", "record 25", "2 lifetimes"]


def test_lines_are_written_as_they_are_asked_for() -> None:
    lifetime = {
        "comm": b"sh", "parent_comm": b"make", "executed": b"true", "exit_code": 0,
        "lasts": (1, 2, 3), "parent": 1, "ns_pid": 7, "cgroup_id": 0, "flags": "EXACT",
        "is_contained": False,
    }  # fmt: skip
    records = records_of([lifetime] * 5000)
    written: list[str] = []
    lines = PassedLines(written.append, lambda: OFFSET_NS)
    lines.begin(records, lambda _: None)
    for number in (1, 3000, 1999):
        lines.show(number)
    assert "".join(written).splitlines() == render_lifetimes(records, OFFSET_NS, lambda _: None)
