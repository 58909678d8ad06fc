"""Lifetimes of a container counted by columns: the report is that of feeding each one."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from tests.support.random_lifetimes import INIT_NS, correlator, made_lives, records_of
from tracer.correlate.correlator import Correlator
from tracer.correlate.passing import pass_lifetimes
from tracer.diagnose.summary import summarise
from tracer.report.jsonreport import render_report_file
from tracer.wire.decode import Decoder
from tracer.wire.layout import CONSTANTS
from tracer.wire.whole_lifetimes import find_whole_lifetimes

NUMBER = 1500


def with_kills(records: Any, seed: int) -> Any:
    """Some of them turn out to be killed: told so far, then event by event."""
    draw = Random(seed)
    parts = []
    for record in records:
        lifetime = record.reshape(1).copy()
        parts.append(lifetime)
        if draw.random() < 0.02:
            free = lifetime.copy()
            lifetime["flags"] &= ~np.uint32(CONSTANTS["ZT_F_RELEASED"] | CONSTANTS["ZT_F_FOUND"])
            lifetime["exit_code"] = 9
            free["kind"] = CONSTANTS["ZT_KIND_FREE"]
            free["notified_ns"] = 0
            free["boot_ns"] += 50_000
            parts.append(free)
    return np.concatenate(parts)


def feed_by_columns(one: Correlator, records: Any, seed: int) -> int:
    """As the dispatcher does, in batches of whatever size."""
    draw, decoder, passed, begin = Random(seed), Decoder("x86_64"), 0, 0
    while begin < len(records):
        some = records[begin : begin + draw.choice([70, 200, 500, 1200])]
        begin += len(some)
        is_passed = pass_lifetimes(one, find_whole_lifetimes(some))
        passed += int(is_passed.sum())
        for event in decoder.decode_batch(some[~is_passed]):
            one.feed(event)
        one.pass_time(int(some["boot_ns"][-1]))
    return passed


@pytest.mark.parametrize("seed", range(12))
def test_the_report_of_a_container_is_that_of_feeding_each_life(seed: int) -> None:
    lifetimes = made_lives(seed, NUMBER, contained=0.97, most_code=140 if seed % 2 else 3)
    records = with_kills(records_of(lifetimes), seed)
    if seed > 5:
        # The others have many names, and parents who change theirs: many are not counted so.
        records["comm"], records["parent_comm"] = b"job", b"sh"
    detail = (50, 100, 400)[seed % 3]
    fed = correlator(keep_uneventful=True, detail=detail)
    counted = correlator(keep_uneventful=True, detail=detail)
    for event in Decoder("x86_64").decode_batch(records):
        fed.feed(event)
    passed = feed_by_columns(counted, records, seed)
    assert seed <= 5 or seed % 2 or passed > 100
    assert render_report_file(summarise(counted)) == render_report_file(summarise(fed))


def test_while_each_is_in_the_report_none_is_counted() -> None:
    records = records_of(made_lives(1, 300, contained=1.0))
    one = correlator(keep_uneventful=True, detail=1000)
    assert feed_by_columns(one, records, 1) == 0
    assert feed_by_columns(correlator(keep_uneventful=True), records, 1) == 0


def test_none_is_counted_of_a_namespace_whose_stop_has_begun() -> None:
    records = records_of(made_lives(1, 900, contained=1.0))
    calm, stopped = (correlator(keep_uneventful=True, detail=20) for _ in range(2))
    for one in (calm, stopped):
        feed_by_columns(one, records[:600], 1)
    end = records[600:601].copy()
    end["kind"], end["host_pid"], end["start_boot_ns"] = CONSTANTS["ZT_KIND_EXIT"], 50_000, INIT_NS
    end["flags"] = CONSTANTS["ZT_F_GROUP_DEAD"] | CONSTANTS["ZT_F_INIT"]
    for event in Decoder("x86_64").decode_batch(end):
        stopped.feed(event)
    assert pass_lifetimes(calm, find_whole_lifetimes(records[600:])).any()
    assert not pass_lifetimes(stopped, find_whole_lifetimes(records[600:])).any()
