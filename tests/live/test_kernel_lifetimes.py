"""Records of a process from fork to free, by BpfSource: what waitpid returns, threads, exec."""

from __future__ import annotations

import signal

import numpy as np
import pytest

from tests.support.bpf_source import (
    CHILDREN,
    FLAGS,
    PRIME,
    has,
    in_pidns,
    pairs,
    tracing,
    waited_statuses,
)
from tests.support.noise import storm
from tests.support.pidns_script import PidnsScript
from tracer.kernel.plan import kprobes_unavailable
from tracer.wire.header import CONSTANTS, KIND_NAMES

pytestmark = pytest.mark.root


@pytest.mark.parametrize("allow_kprobes", [True, False], ids=["kprobes", "tracepoints"])
def test_every_process_is_reported_as_waitpid_returns_it_and_the_host_is_not(
    allow_kprobes: bool,
) -> None:
    with PidnsScript(CHILDREN) as script, storm():
        assert script.listen() == "ready"
        with tracing(in_pidns(script), allow_kprobes=allow_kprobes) as trace:
            script.tell()
            truth = waited_statuses(script)
            assert len(truth) == PRIME
            frees = trace.wait(PRIME, "free")
            forks, execs, exits = trace.of("fork"), trace.of("exec"), trace.of("exit")
            assert sorted(forks["ns_pid"].tolist()) == sorted(truth)
            assert dict(pairs(exits, "ns_pid", "exit_code")) == truth
            assert len(exits) == PRIME
            assert sorted(frees["ns_pid"].tolist()) == sorted(truth)
            assert dict(pairs(frees, "ns_pid", "exit_code")) == truth
            assert len(execs) == sum(1 for i in range(PRIME) if i % 3 == 0)
            assert set(execs["comm"].tolist()) == {b"true"}

            # Nothing of the storm.
            assert set(trace.records["pidns_inum"].tolist()) == {script.pidns_inum}
            assert set(trace.records["init_start_boot_ns"].tolist()) == {
                int(forks["parent_start_boot_ns"][0])
            }
            assert set(forks["parent_host_pid"].tolist()) == {script.init_pid}
            assert set(exits["exit_signal"].tolist()) == {signal.SIGCHLD}
            notified = trace.of("signal", sig=int(signal.SIGCHLD))
            assert all(has(notified, "NOTIFY"))
            identities = set(pairs(exits, "host_pid", "start_boot_ns"))
            assert len(notified) == PRIME
            assert identities == set(pairs(notified, "child_pid", "child_start_boot_ns"))
            assert identities == set(pairs(forks, "host_pid", "start_boot_ns"))
            kills = trace.records[(trace.records["sig"] == signal.SIGKILL)]
            kills = kills[kills["kind"] == CONSTANTS["ZT_KIND_SIGNAL"]]
            assert len(kills) == sum(1 for i in range(PRIME) if i % 6 == 2)
            assert all(has(kills, "CUR_SELF"))
            assert trace.source.take_losses() == {}
            if allow_kprobes and kprobes_unavailable() is None:
                reaps = trace.of("reap")
                assert sorted(reaps["ns_pid"].tolist()) == sorted(truth)
                assert set(reaps["cur_host_pid"].tolist()) == {script.init_pid}
            else:
                assert len(trace.of("reap")) == 0


def test_each_kind_is_in_the_order_of_a_lifetime() -> None:
    with PidnsScript("say('ready'); hear(); os.waitpid(os.fork() or os._exit(3), 0); hear()") as s:
        assert s.listen() == "ready"
        with tracing(in_pidns(s), allow_kprobes=False) as trace:
            s.tell()
            trace.wait(1, "free")
            kinds = [KIND_NAMES[int(r["kind"])] for r in trace.records]
            assert kinds == ["fork", "exit", "signal", "free"]
            assert np.all(np.diff(trace.records["boot_ns"].astype(np.int64)) > 0)


LEADER = """
import _thread
say("ready")
hear()
pid = os.fork()
if not pid:
    def last():
        hear()
        os._exit(5)
    _thread.start_new_thread(last, ())
    import ctypes
    ctypes.CDLL(None).syscall(60 if os.uname().machine == "x86_64" else 93, 3)
say(os.waitpid(pid, 0)[1])
hear()
"""


def test_a_leader_that_ends_before_its_threads_is_reported_twice() -> None:
    with PidnsScript(LEADER) as script:
        script.listen()
        with tracing(in_pidns(script)) as trace:
            script.tell()
            (first,) = trace.wait(1, "exit")
            assert not first["flags"] & FLAGS["GROUP_DEAD"]
            assert (first["live_threads"], first["exit_code"]) == (1, 3 << 8)
            script.tell()
            assert script.listen() == str(5 << 8)
            (last,) = trace.wait(2, "exit")[1:]
            assert last["flags"] & FLAGS["GROUP_DEAD"]
            assert (last["host_pid"], last["start_boot_ns"], last["exit_code"]) == (
                first["host_pid"],
                first["start_boot_ns"],
                5 << 8,
            )
            assert last["cur_host_tid"] != first["cur_host_tid"]
            trace.wait(1, "free")


EXEC_BY_THREAD = """
import _thread
say("ready")
hear()
pid = os.fork()
if not pid:
    _thread.start_new_thread(os.execv, ("/bin/sh", ["sh", "-c", "read line; exit 6"]))
    signal.pause()
say(os.waitpid(pid, 0)[1])
hear()
"""


def test_a_thread_that_execs_is_the_same_process_and_no_leader_has_ended() -> None:
    with PidnsScript(EXEC_BY_THREAD) as script:
        script.listen()
        with tracing(in_pidns(script)) as trace:
            script.tell()
            (execed,) = trace.wait(1, "exec")
            (forked,) = trace.of("fork")
            identity = (forked["host_pid"], forked["start_boot_ns"])
            assert (execed["host_pid"], execed["start_boot_ns"]) == identity
            assert execed["host_tid"] == execed["host_pid"]
            assert execed["comm"] == b"sh"
            assert len(trace.of("exit")) == 0
            script.tell("to sh")
            assert script.listen() == str(6 << 8)
            (ended,) = trace.wait(1, "exit")
            assert (ended["host_pid"], ended["start_boot_ns"]) == identity
            trace.wait(1, "free")
            assert len(trace.of("reap")) in {0, 1}
