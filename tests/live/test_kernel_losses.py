"""No record of BpfSource is lost under load, or it is counted."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tests.support.bpf_source import Records, in_pidns, tracing
from tests.support.noise import storm
from tests.support.pidns_script import PidnsScript
from tracer.model.target import KernelFilter
from tracer.wire.header import CONSTANTS

pytestmark = [pytest.mark.root, pytest.mark.alone]

FLOOD = """
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
say("ready")
hear()
for _ in range(9973):
    os.kill(1, signal.SIGUSR1)
say("done")
hear()
"""


def test_every_record_that_found_no_room_is_counted() -> None:
    with PidnsScript(FLOOD) as script:
        script.listen()
        with tracing(in_pidns(script), ring_bytes=64 << 10) as trace:
            script.tell()
            assert script.listen() == "done"
            seen = 0
            while len(batch := trace.source.read(0)):
                seen += len(batch)
                assert set(batch["kind"].tolist()) == {CONSTANTS["ZT_KIND_SIGNAL"]}
            lost = trace.source.take_losses()
            assert 0 < seen < 9973
            assert lost == {"signal": 9973 - seen}
            assert trace.source.take_losses() == {}


FLOOD_AND_KILL = """
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
say("ready")
hear()
for _ in range(9973):
    os.kill(1, signal.SIGUSR1)
child = os.fork()
if child == 0:
    signal.pause()
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
say(child)
hear()
"""


def test_signals_that_are_ignored_leave_room_for_a_kill_and_a_death() -> None:
    with PidnsScript(FLOOD_AND_KILL) as script:
        script.listen()
        with tracing(in_pidns(script), ring_bytes=64 << 10) as trace:
            script.tell()
            child = int(script.listen())
            batch = trace.source.read(0)
            assert set(trace.source.take_losses()) == {"signal"}
    mine = batch[batch["ns_pid"] == child]
    kinds = mine["kind"].tolist()
    assert CONSTANTS["ZT_KIND_EXIT"] in kinds
    killed = mine[mine["kind"] == CONSTANTS["ZT_KIND_SIGNAL"]]
    assert killed["sig"].tolist() == [9]


def test_nothing_is_lost_in_a_fork_storm_with_the_default_ring() -> None:
    with tracing(KernelFilter(everything=True)) as trace, storm(7) as noise:
        forks = 0
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            batch = trace.source.read(0.1)
            forks += int(np.count_nonzero(batch["kind"] == CONSTANTS["ZT_KIND_FORK"]))
        made = noise.end()
        batch = trace.records
        forks += int(np.count_nonzero(batch["kind"] == CONSTANTS["ZT_KIND_FORK"]))
        assert forks >= made > 0
        assert trace.source.take_losses() == {}


def test_an_exit_is_reported_though_the_processes_are_listed_at_that_moment() -> None:
    with tracing(KernelFilter(everything=True), ring_bytes=64 << 20) as trace, storm(2) as noise:
        kinds, ids = [], []

        def keep(batch: Records) -> None:
            batch = batch[batch["comm"] == b"storm"]
            kinds.append(batch["kind"])
            ids.append(batch["start_boot_ns"] ^ (batch["host_pid"].astype(np.uint64) << 42))

        until = time.monotonic() + 5
        while time.monotonic() < until:
            trace.source.seed()
            keep(trace.source.read(0))
        noise.end()
        while len(batch := trace.source.read(0)):
            keep(batch)
        assert trace.source.take_losses() == {}
    kind, one = np.concatenate(kinds), np.concatenate(ids)
    forked = one[kind == CONSTANTS["ZT_KIND_FORK"]]
    ended = one[kind == CONSTANTS["ZT_KIND_EXIT"]]
    assert len(forked) > 1_000
    assert len(np.unique(ended)) == len(ended)
    # The storm itself was there before.
    assert len(np.setdiff1d(forked, ended)) == 0
