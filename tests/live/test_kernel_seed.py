"""What was there before BpfSource traced: listed, and missed when it is gone."""

from __future__ import annotations

import os
import select
from pathlib import Path

import numpy as np
import pytest

from tests.support.bpf_source import has, in_pidns, pairs, tracing
from tests.support.pidns_script import PidnsScript
from tracer.wire.header import CONSTANTS

pytestmark = pytest.mark.root

SEEDED = """
pids = []
for _ in range(7):
    pid = os.fork()
    if not pid:
        os._exit(9)
    pids.append(pid)
sleeper = os.fork()
if not sleeper:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.write(1, b"child\\n")
    signal.pause()
    os._exit(0)
for pid in pids:
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
say("ready")
hear()
for pid in pids:
    os.waitpid(pid, 0)
say("reaped")
hear()
"""


def test_the_seed_lists_what_was_there_and_zombies_can_be_seen_to_go() -> None:
    with PidnsScript(SEEDED) as script:
        assert {script.listen(), script.listen()} == {"child", "ready"}
        with tracing(in_pidns(script)) as trace:
            seed = trace.source.seed()
            assert sorted(seed["ns_pid"].tolist()) == list(range(1, 10))
            assert set(seed["kind"].tolist()) == {CONSTANTS["ZT_KIND_PROCESS"]}
            zombies = seed[seed["exit_state"] != 0]
            assert sorted(zombies["ns_pid"].tolist()) == list(range(2, 9))
            assert set(zombies["live_threads"].tolist()) == {0}
            assert set(zombies["exit_code"].tolist()) == {9 << 8}
            assert set(zombies["parent_host_pid"].tolist()) == {script.init_pid}
            init = seed[seed["ns_pid"] == 1]
            assert has(init, "INIT") == [True]
            assert init["parent_host_pid"].tolist() == [script.outer_pid]
            assert init["own_sigchld"].tolist() == [CONSTANTS["ZT_ACTION_DEFAULT"]]
            sleeper = seed[seed["ns_pid"] == 9]
            assert sleeper["own_sigchld"].tolist() == [CONSTANTS["ZT_ACTION_IGNORE"]]
            script.tell()
            assert script.listen() == "reaped"
            frees = trace.wait(7, "free")
            assert set(frees["start_boot_ns"].tolist()) == set(zombies["start_boot_ns"].tolist())
            assert set(frees["pidns_inum"].tolist()) == {script.pidns_inum}
            assert sorted(frees["ns_pid"].tolist()) == list(range(2, 9))


def test_what_the_kernel_keeps_to_itself_is_found_out_and_wakes_the_sleeper() -> None:
    with PidnsScript(SEEDED) as script:
        assert {script.listen(), script.listen()} == {"child", "ready"}
        with tracing(in_pidns(script)) as trace:
            # As if the tracepoint had not been heard: nothing is followed any more.
            zombies = trace.source.seed()
            zombies = zombies[zombies["exit_state"] != 0]
            tracked = trace.source._programs().maps["zt_tracked"]
            for key in list(tracked.keys()):
                assert tracked.delete(key)
            script.tell()
            assert script.listen() == "reaped"
            poll = select.poll()
            poll.register(trace.source.fileno(), select.POLLIN)
            while len(trace.of("free")) < 7:
                assert poll.poll(60_000), "nothing woke us"
            frees = trace.of("free")
            assert sorted(pairs(frees, "host_pid", "start_boot_ns")) == sorted(
                pairs(zombies, "host_pid", "start_boot_ns")
            )
            assert set(frees["parent_host_pid"].tolist()) == {script.init_pid}
            assert trace.source.sweep_due_in_s is None
            assert not poll.poll(0)


def test_of_many_that_are_taken_out_at_once_those_that_were_not_there_are_named() -> None:
    with PidnsScript(SEEDED) as script:
        assert {script.listen(), script.listen()} == {"child", "ready"}
        with tracing(in_pidns(script)) as trace:
            trace.source.seed()
            tracked = trace.source._programs().maps["zt_tracked"]
            there, absent = list(tracked.keys()), bytes(tracked.key_size)
            assert len(there) == 7
            keys = [absent, *there[:3], absent, absent, *there[3:6], absent]
            assert tracked.delete_each(b"".join(keys)) == [0, 4, 5, 9]
            assert list(tracked.keys()) == there[6:]
            assert tracked.delete_each(b"") == []


def test_at_the_end_what_is_gone_is_reported_at_once() -> None:
    with PidnsScript(SEEDED) as script:
        assert {script.listen(), script.listen()} == {"child", "ready"}
        with tracing(in_pidns(script)) as trace:
            trace.source.seed()
            tracked = trace.source._programs().maps["zt_tracked"]
            for key in list(tracked.keys()):
                assert tracked.delete(key)
            script.tell()
            assert script.listen() == "reaped"
            last = trace.source.finish()
            assert np.count_nonzero(last["kind"] == CONSTANTS["ZT_KIND_FREE"]) == 7


def test_start_times_are_those_of_proc() -> None:
    with PidnsScript("say('ready'); hear()") as script:
        script.listen()
        with tracing(in_pidns(script)) as trace:
            (init,) = trace.source.seed()
        fields = Path(f"/proc/{script.init_pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[19])
        assert int(init["start_boot_ns"]) // (10**9 // os.sysconf("SC_CLK_TCK")) == ticks
