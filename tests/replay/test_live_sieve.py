"""Passing over ordinary lives batch by batch changes no live report."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.replay.made_host import BEGIN_NS, MadeHost, Records
from tests.replay.test_capture_sieve import MUTATIONS, SECOND_NS, mutate, nest
from tracer.correlate.correlator import Correlator, CorrelatorOptions
from tracer.correlate.summary import summarise
from tracer.model.target import Container
from tracer.report.jsonreport import render_report_file
from tracer.session import live_sieve as module
from tracer.session.live_sieve import LiveSieve
from tracer.wire.decode import Decoder
from tracer.wire.layout import CONSTANTS

HOST = MadeHost(short_lived=41, killed=2, leaked=2, containers=1, workers=2)


@pytest.fixture(autouse=True)
def sieve_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WORTH_IT_RECORDS", 1)


def all_records() -> Records:
    """The made-up host's, as one."""
    return np.concatenate(list(HOST.records()))


def a_sieve() -> tuple[Correlator, LiveSieve]:
    """One before a correlator that has been told how the trace began."""
    correlator = Correlator(CorrelatorOptions(min_zombie_ns=SECOND_NS, keep_uneventful=False))
    correlator.feed(HOST.attached)
    return correlator, LiveSieve(correlator, lambda lives: None)


class Outcome:
    """One trace of some records, cut into batches.

    Attributes:
        report: As a report file.
        passed: Lives passed over.
        decoded: Records that were not.
    """

    def __init__(self, records: Records, cuts: list[int], *, sieved: bool) -> None:
        self.passed = self.decoded = 0
        correlator = Correlator(CorrelatorOptions(min_zombie_ns=SECOND_NS, keep_uneventful=False))
        correlator.feed(HOST.attached)
        sieve = LiveSieve(correlator, self._count)
        decoder = Decoder("x86_64")

        def feed(some: Records) -> None:
            self.decoded += len(some)
            for event in decoder.decode_batch(some):
                correlator.feed(event)

        for batch in np.split(records, cuts):
            if not sieved or not len(batch):
                feed(batch)
                continue
            chosen = sieve.choose(np.array_split(batch, 3))
            feed(chosen.held)
            feed(batch if chosen.positions is None else batch[chosen.positions])
            sieve.settle()
        feed(sieve.take_held())
        correlator.feed(HOST.end)
        self.report = render_report_file(summarise(correlator))

    def _count(self, lives: int) -> None:
        self.passed += lives


def test_in_one_batch_every_ordinary_life_is_passed_over() -> None:
    records = all_records()
    quick, full = Outcome(records, [], sieved=True), Outcome(records, [], sieved=False)
    assert quick.passed == HOST.short_lived
    assert quick.decoded < full.decoded
    assert quick.report == full.report


@pytest.mark.parametrize(("held_ns", "passed_less"), [(SECOND_NS, 0), (0, 1)])
def test_a_life_that_goes_over_the_edge_of_a_batch_is_held_for_a_while(
    monkeypatch: pytest.MonkeyPatch, held_ns: int, passed_less: int
) -> None:
    monkeypatch.setattr(module, "HELD_NS", held_ns)
    records = all_records()
    short = np.flatnonzero(
        (records["kind"] == CONSTANTS["ZT_KIND_EXIT"]) & (records["parent_host_pid"] == 700)
    )
    cut = int(short[len(short) // 2])
    quick, full = Outcome(records, [cut], sieved=True), Outcome(records, [cut], sieved=False)
    assert quick.passed == HOST.short_lived - passed_less
    assert quick.report == full.report


def test_a_short_shell_and_its_child_are_passed_over_though_its_release_is_told_first() -> None:
    records = all_records()
    first, second = np.flatnonzero(
        (records["kind"] == CONSTANTS["ZT_KIND_FORK"]) & (records["parent_host_pid"] == 700)
    )[[0, 3]]
    records = nest(records, second, first)
    released = records["host_pid"][records["kind"] == CONSTANTS["ZT_KIND_FREE"]].tolist()
    assert released[:2] == [10_000, 10_001]
    quick, full = Outcome(records, [], sieved=True), Outcome(records, [], sieved=False)
    assert quick.passed == HOST.short_lived
    assert quick.report == full.report


def test_a_child_that_tells_its_parents_new_name_is_not_held() -> None:
    records = all_records()
    leaked = records[
        (records["kind"] == CONSTANTS["ZT_KIND_EXIT"]) & (records["comm"] == b"orphan")
    ]
    leaker = leaked["parent_host_pid"][0]
    renamed_ns = int(records["boot_ns"].max()) + SECOND_NS
    # Another name, told by the birth of a child; then an old zombie is reaped under it.
    of_child = records[
        (records["parent_host_pid"] == leaker) & (records["host_pid"] == leaked["host_pid"][0])
    ][:1].copy()
    of_child["host_pid"] = of_child["ns_pid"] = 3_500_000
    of_child["boot_ns"] = of_child["start_boot_ns"] = renamed_ns
    of_child["parent_comm"] = of_child["cur_comm"] = b"renamed"
    reaped = leaked.copy()
    reaped["kind"], reaped["parent_comm"] = CONSTANTS["ZT_KIND_FREE"], b"renamed"
    reaped["boot_ns"] = renamed_ns + 1 + np.arange(len(reaped), dtype=np.uint64)
    assert of_child["kind"] == CONSTANTS["ZT_KIND_FORK"]
    both, cuts = np.concatenate([records, of_child, reaped]), [len(records)]
    quick, full = Outcome(both, cuts, sieved=True), Outcome(both, cuts, sieved=False)
    assert "(pid 701)" in full.report
    assert quick.report == full.report


def test_what_is_held_is_due_a_while_after_its_first_record() -> None:
    _, sieve = a_sieve()
    records = all_records()
    (first, *_) = np.flatnonzero(
        (records["kind"] == CONSTANTS["ZT_KIND_FORK"]) & (records["parent_host_pid"] == 700)
    )
    sieve.choose([records[: first + 1]])
    due = [sieve.due_ns]
    assert sieve.take_held()["host_pid"].tolist() == [records["host_pid"][first]]
    due.append(sieve.due_ns)
    assert due == [int(records["boot_ns"][first]) + module.HELD_NS, None]


def test_a_dead_life_is_held_no_longer_than_a_zombie_is_ordinary() -> None:
    _, sieve = a_sieve()
    records = all_records()
    (end, *_) = np.flatnonzero(
        (records["kind"] == CONSTANTS["ZT_KIND_EXIT"]) & (records["parent_host_pid"] == 700)
    )
    sieve.choose([records[: end + 1]])
    assert sieve.due_ns == int(records["boot_ns"][end]) + SECOND_NS


def test_where_a_container_shares_the_hosts_namespace_nothing_is_passed_over() -> None:
    correlator, sieve = a_sieve()
    assert sieve.choose([all_records()]).positions is not None
    (container,) = HOST.attached.target.containers[:1]
    shared = {name: getattr(container, name) for name in Container.__dataclass_fields__}
    correlator.scopes.add_container(
        Container(**shared | {"has_own_pidns": False, "cgroup_id": 4711}), correlator.table
    )
    assert sieve.choose([all_records()]).positions is None


@settings(
    max_examples=150,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_disorder_and_no_edge_makes_the_two_reports_differ(
    monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    records = all_records()
    for _ in range(data.draw(st.integers(0, 6), label="how many")):
        kind = data.draw(st.sampled_from(MUTATIONS))
        row = data.draw(st.integers(0, len(records) - 1))
        other = data.draw(st.integers(0, len(records) - 1))
        records = mutate(records, kind, row, other)
    assert records["boot_ns"].min() >= BEGIN_NS
    cuts = sorted(data.draw(st.lists(st.integers(0, len(records)), max_size=12)))
    monkeypatch.setattr(module, "HELD_NS", data.draw(st.sampled_from((0, SECOND_NS, 1 << 60))))
    quick, full = Outcome(records, cuts, sieved=True), Outcome(records, cuts, sieved=False)
    assert quick.report == full.report
