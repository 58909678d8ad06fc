"""Signals in BpfSource's records: sender, disposition, result, and what kills a whole namespace."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.support.bpf_source import FLAGS, has, in_pidns, tracing
from tests.support.cgroups import a_cgroup, cgroup_root
from tests.support.pidns_script import PidnsScript
from tests.support.require import require
from tests.support.waiting import wait_for
from tracer.model.target import KernelFilter
from tracer.wire.header import CONSTANTS

pytestmark = pytest.mark.root

SIGNALLED = """
signal.signal(signal.SIGHUP, lambda *_: say("handled"))
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
say("ready")
hear()
"""


def test_a_signal_shows_sender_disposition_and_result() -> None:
    with PidnsScript(SIGNALLED) as script:
        script.listen()
        with tracing(in_pidns(script)) as trace:
            for signo in ("HUP", "USR1", "USR2", "TERM", "KILL"):
                subprocess.run(["/bin/kill", f"-{signo}", str(script.init_pid)], check=True)
                if signo == "HUP":
                    # Behind a pending SIGKILL it would never be delivered.
                    assert script.listen() == "handled"
            script.wait()
            sent = trace.of("signal")
            sent = sent[sent["ns_pid"] == 1]
            default, ignore, caught = (
                CONSTANTS[f"ZT_ACTION_{name}"] for name in ("DEFAULT", "IGNORE", "CAUGHT")
            )
            seen = {
                signal.Signals(int(r["sig"])).name: (
                    int(r["action"]),
                    bool(r["flags"] & FLAGS["BLOCKED"]),
                    int(r["result"]),
                )
                for r in sent
            }
            assert seen == {
                "SIGHUP": (caught, False, 0),
                "SIGUSR1": (ignore, False, 1),
                "SIGUSR2": (default, True, 0),
                # An init without a handler is sent nothing that it has not asked for.
                "SIGTERM": (default, False, 1),
                "SIGKILL": (default, False, 0),
            }
            assert set(sent["cur_comm"].tolist()) == {b"kill"}
            assert set(sent["cur_ns_pid"].tolist()) == {0}
            assert set(sent["si_code"].tolist()) == {0}
            assert set(sent["si_pid"].tolist()) == {0}
            assert set(sent["info"].tolist()) == {CONSTANTS["ZT_INFO_POINTER"]}
            own_comm = Path("/proc/self/comm").read_bytes().strip()
            assert set(sent["chain_comm"][:, 0].tolist()) == {own_comm}
            if os.uname().machine == "x86_64":
                assert set(sent["sys_nr"].tolist()) == {62}
            assert all(has(sent, "GROUP"))
            assert all(has(sent, "INIT"))
            # What kills it makes it killable.
            assert has(sent, "UNKILLABLE") == [True, True, True, True, False]
            delivered = trace.of("deliver", ns_pid=1)
            assert Counter(delivered["sig"].tolist()) == {signal.SIGHUP: 1, signal.SIGKILL: 1}


def test_a_signal_from_inside_names_the_sender_as_the_target_sees_it() -> None:
    inside = "say('ready'); hear(); os.fork() or os.kill(1, signal.SIGCONT); hear()"
    with PidnsScript(inside) as script:
        script.listen()
        with tracing(in_pidns(script)) as trace:
            script.tell()
            (sent,) = trace.wait(1, "signal", sig=int(signal.SIGCONT))
            assert (sent["ns_pid"], sent["cur_ns_pid"], sent["si_pid"]) == (1, 2, 2)


SIGWAIT = """
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
say("ready")
say(signal.sigtimedwait({signal.SIGTERM}, 20).si_signo)
hear()
"""


def test_a_signal_waited_for_is_blocked_and_never_delivered() -> None:
    with PidnsScript(SIGWAIT) as script:
        script.listen()
        wchan = Path(f"/proc/{script.init_pid}/syscall")
        wait_for(lambda: wchan.read_text().startswith(("128 ", "137 ")), "it is in sigtimedwait")
        with tracing(in_pidns(script)) as trace:
            os.kill(script.init_pid, signal.SIGTERM)
            assert script.listen() == str(int(signal.SIGTERM))
            (sent,) = trace.wait(1, "signal", sig=int(signal.SIGTERM))
            assert sent["flags"] & FLAGS["BLOCKED"]
            assert sent["result"] == 0
            assert len(trace.of("deliver")) == 0


TEARDOWN = """
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
for i in range(7):
    if not os.fork():
        if i < 3:
            os._exit(1)
        signal.pause()
for i in range(3):
    os.waitid(os.P_PID, 2 + i, os.WEXITED | os.WNOWAIT)
say("ready")
hear()
"""


def test_a_teardown_is_distinguished_from_other_kills() -> None:
    with PidnsScript(TEARDOWN) as script:
        script.listen()
        inum = script.pidns_inum
        with tracing(KernelFilter(pidns_inums=frozenset({inum}))) as trace:
            assert len(trace.source.seed()) == 8
            os.kill(script.init_pid, signal.SIGTERM)
            script.wait()
            exits = trace.wait(5, "exit")
            kills = trace.of("signal", sig=int(signal.SIGKILL))
            assert all(has(kills, "CUR_REAPER"))
            assert all(has(kills, "CUR_EXITING"))
            assert set(kills["info"].tolist()) == {CONSTANTS["ZT_INFO_PRIV"]}
            assert set(kills["cur_ns_pid"].tolist()) == {1}
            alive = kills[~np.array(has(kills, "GROUP_DEAD"))]
            assert sorted(alive["ns_pid"].tolist()) == [5, 6, 7, 8]
            assert not any(has(alive, "GROUP_EXIT"))
            killed = exits[exits["exit_code"] == signal.SIGKILL]
            assert sorted(killed["ns_pid"].tolist()) == [5, 6, 7, 8]
            frees = trace.wait(8, "free")
            assert set(frees["pidns_inum"].tolist()) == {inum}
            # The end: the init's own notification to its parent outside.
            (end,) = trace.of("signal", host_pid=script.outer_pid, sig=int(signal.SIGCHLD))
            (init_exit,) = exits[exits["ns_pid"] == 1]
            assert (end["child_pid"], end["child_start_boot_ns"]) == (
                init_exit["host_pid"],
                init_exit["start_boot_ns"],
            )
            assert end["boot_ns"] > killed["boot_ns"].max()


EAT = """
say("ready")
hear()
pid = os.fork()
if not pid:
    eaten = []
    while True:
        eaten.append(bytearray(b"x") * (1 << 20))
say(os.waitpid(pid, 0)[1])
hear()
"""


def test_an_oom_victim_is_reported_beside_its_kill() -> None:
    root = cgroup_root("memory")
    limit_file = "memory.limit_in_bytes"
    if root is None:
        root, limit_file = cgroup_root(None), "memory.max"
    require("memory-cgroup", root is not None, "no memory controller is mounted here")
    assert root is not None
    if limit_file == "memory.max":
        (root / "cgroup.subtree_control").write_text("+memory")
    with a_cgroup(root) as cgroup, PidnsScript(EAT) as script:
        script.listen()
        if limit_file == "memory.max":
            (cgroup / "memory.swap.max").write_text("0")
        (cgroup / limit_file).write_text(str(48 << 20))
        (cgroup / "cgroup.procs").write_text(str(script.init_pid))
        with tracing(in_pidns(script)) as trace:
            script.tell()
            assert script.listen() == str(int(signal.SIGKILL))
            (exited,) = trace.wait(1, "exit")
            (oom,) = trace.of("oom")
            assert (oom["host_pid"], oom["start_boot_ns"]) == (
                exited["host_pid"],
                exited["start_boot_ns"],
            )
            assert oom["flags"] & FLAGS["CUR_SELF"]
            (kill,) = trace.of("signal", sig=int(signal.SIGKILL))
            # mark_victim comes just after the signal, __oom_kill_process before it.
            assert abs(int(oom["boot_ns"]) - int(kill["boot_ns"])) < 10**9
            assert oom["boot_ns"] < exited["boot_ns"]
            assert kill["info"] == CONSTANTS["ZT_INFO_PRIV"]
            assert kill["host_pid"] == exited["host_pid"]
            (cgroup / limit_file).write_text(str(256 << 20))
