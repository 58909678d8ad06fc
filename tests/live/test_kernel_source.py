"""BpfSource against processes whose fate is known."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.live.noise import storm
from tests.live.pidns_script import PidnsScript
from tests.live.require import require, require_root
from tests.live.waiting import wait_for
from tracer.errors import ZomtraceError
from tracer.kernel.plan import kprobes_unavailable
from tracer.kernel.source import BpfSource
from tracer.model.target import KernelFilter
from tracer.wire.header import CONSTANTS, KIND_NAMES

Records = npt.NDArray[np.void]
PRIME = 101
F = {name.removeprefix("ZT_F_"): bit for name, bit in CONSTANTS.items() if name[:5] == "ZT_F_"}


@pytest.fixture(autouse=True)
def _root() -> None:
    require_root()


class Tracing:
    """A source that traces, and all it has told so far."""

    def __init__(self, source: BpfSource) -> None:
        self.source = source
        self._batches: list[Records] = []

    @property
    def records(self) -> Records:
        self._batches = [np.concatenate([*self._batches, self.source.read(0)])]
        return self._batches[0]

    def of(self, kind: str, **fields: object) -> Records:
        """Records of a kind whose fields have these values."""
        records = self.records
        chosen: npt.NDArray[np.bool_] = records["kind"] == CONSTANTS[f"ZT_KIND_{kind.upper()}"]
        for name, value in fields.items():
            chosen &= records[name] == value
        selected: Records = records[chosen]
        return selected

    def wait(self, count: int, kind: str, **fields: object) -> Records:
        """Wait until so many are there; more is an error."""

        def enough() -> tuple[Records] | None:
            got = self.of(kind, **fields)
            return (got,) if len(got) >= count else None

        found = wait_for(enough, f"{count} x {kind} {fields}")[0]
        assert len(found) == count
        return found


@contextmanager
def tracing(
    kernel_filter: KernelFilter,
    *,
    ring_bytes: int | None = None,
    allow_kprobes: bool = True,
    cgroup_v1: bool = False,
) -> Iterator[Tracing]:
    with BpfSource(
        everything=kernel_filter.everything,
        ring_bytes=ring_bytes,
        allow_kprobes=allow_kprobes,
        cgroup_v1=cgroup_v1,
    ) as source:
        source.set_filter(kernel_filter)
        source.attach()
        yield Tracing(source)


def in_pidns(script: PidnsScript) -> KernelFilter:
    return KernelFilter(pidns_inums=frozenset({script.pidns_inum}))


def has(records: Records, flag: str) -> list[bool]:
    return [bool(bits & F[flag]) for bits in records["flags"]]


def pairs(records: Records, first: str, second: str) -> list[tuple[int, int]]:
    return list(zip(records[first].tolist(), records[second].tolist(), strict=True))


CHILDREN = f"""
say("ready")
hear()
for i in range({PRIME}):
    pid = os.fork()
    if not pid:
        if i % 3 == 0:
            os.execv("/bin/true", ["true"])
        if i % 3 == 1:
            os._exit(i)
        os.kill(os.getpid(), (signal.SIGKILL, signal.SIGTERM)[i % 2])
    _, status = os.waitpid(pid, 0)
    say(pid, status)
say("done")
hear()
"""


def told_statuses(script: PidnsScript) -> dict[int, int]:
    statuses = {}
    while (line := script.listen()) != "done":
        pid, status = line.split()
        statuses[int(pid)] = int(status)
    return statuses


@pytest.mark.parametrize("allow_kprobes", [True, False], ids=["kprobes", "tracepoints"])
def test_every_process_is_told_as_waitpid_tells_it_and_the_host_is_not(
    allow_kprobes: bool,
) -> None:
    with PidnsScript(CHILDREN) as script, storm():
        assert script.listen() == "ready"
        with tracing(in_pidns(script), allow_kprobes=allow_kprobes) as trace:
            script.tell()
            truth = told_statuses(script)
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


def test_each_kind_is_in_the_order_of_a_life() -> None:
    with PidnsScript("say('ready'); hear(); os.waitpid(os.fork() or os._exit(3), 0); hear()") as s:
        assert s.listen() == "ready"
        with tracing(in_pidns(s), allow_kprobes=False) as trace:
            s.tell()
            trace.wait(1, "free")
            kinds = [KIND_NAMES[int(r["kind"])] for r in trace.records]
            assert kinds == ["fork", "exit", "signal", "free"]
            assert np.all(np.diff(trace.records["boot_ns"].astype(np.int64)) > 0)


NESTED = """
import subprocess
say("ready")
hear()
inner = subprocess.Popen(["unshare", "--pid", "--fork", "sh", "-c", "true; true; exit 7"])
say(inner.wait())
hear()
"""


def test_a_nested_namespace_passes_and_is_named_by_its_own_number() -> None:
    with PidnsScript(NESTED) as script:
        script.listen()
        with tracing(in_pidns(script)) as trace:
            script.tell()
            assert script.listen() == "7"
            exits = trace.wait(2, "exit")
            inner = exits[exits["pidns_inum"] != script.pidns_inum]
            assert inner["ns_pid"].tolist() == [1]
            assert inner["pidns_level"].tolist() == [2]
            assert inner["parent_pidns_inum"].tolist() == [script.pidns_inum]
            assert inner["exit_code"].tolist() == [7 << 8]
            assert has(inner, "INIT") == [True]
            assert inner["init_start_boot_ns"].tolist() == inner["start_boot_ns"].tolist()


def test_a_process_of_another_namespace_does_not_pass() -> None:
    with PidnsScript(CHILDREN) as traced, PidnsScript(CHILDREN) as other:
        traced.listen()
        other.listen()
        with tracing(in_pidns(traced)) as trace:
            other.tell()
            told_statuses(other)
            traced.tell()
            told_statuses(traced)
            trace.wait(PRIME, "free")
            assert set(trace.records["pidns_inum"].tolist()) == {traced.pidns_inum}


def cgroup_root(controller: str | None) -> Path | None:
    """Where cgroup v2 is mounted, or the v1 hierarchy of a controller."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount_point, kind, options, *_ = line.split()
        if kind == ("cgroup2" if controller is None else "cgroup") and (
            controller is None or controller in options.split(",")
        ):
            return Path(mount_point)
    return None


@contextmanager
def a_cgroup(root: Path) -> Iterator[Path]:
    path = root / f"zt-source-{os.getpid()}"
    inner = path / "inner"
    inner.mkdir(parents=True)
    try:
        yield path
    finally:
        wait_for(lambda: _removed(inner) and _removed(path), f"{path} is empty")


def _removed(path: Path) -> bool:
    try:
        path.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


@pytest.mark.parametrize("hierarchy", [None, "pids"], ids=["v2", "v1"])
def test_a_cgroup_passes_with_its_descendants_and_nothing_else(hierarchy: str | None) -> None:
    root = cgroup_root(hierarchy)
    require("cgroup-v1" if hierarchy else "cgroup-v2", root is not None, "it is not mounted here")
    assert root is not None
    with a_cgroup(root) as cgroup, PidnsScript(CHILDREN, pidns=False) as script, storm(2):
        script.listen()
        (cgroup / "inner" / "cgroup.procs").write_text(str(script.outer_pid))
        wanted = KernelFilter(cgroup_ids=frozenset({cgroup.stat().st_ino}))
        with tracing(wanted, cgroup_v1=hierarchy is not None) as trace:
            script.tell()
            truth = told_statuses(script)
            trace.wait(PRIME, "free")
            exits = trace.of("exit")
            assert dict(pairs(exits, "host_pid", "exit_code")) == truth
            assert set(trace.records["cgroup_id"].tolist()) == {(cgroup / "inner").stat().st_ino}


def test_the_filter_can_be_changed_while_tracing() -> None:
    with PidnsScript(CHILDREN) as first, PidnsScript(CHILDREN) as second:
        first.listen()
        second.listen()
        with tracing(in_pidns(first)) as trace:
            trace.source.set_filter(in_pidns(second))
            first.tell()
            told_statuses(first)
            second.tell()
            told_statuses(second)
            trace.wait(PRIME, "free")
            assert set(trace.records["pidns_inum"].tolist()) == {second.pidns_inum}


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
                assert poll.poll(10_000), "nothing woke us"
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
            there, nobody = list(tracked.keys()), bytes(tracked.key_size)
            assert len(there) == 7
            keys = [nobody, *there[:3], nobody, nobody, *there[3:6], nobody]
            assert tracked.delete_each(b"".join(keys)) == [0, 4, 5, 9]
            assert list(tracked.keys()) == there[6:]
            assert tracked.delete_each(b"") == []


def test_at_the_end_what_is_gone_is_told_at_once() -> None:
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


SIGNALLED = """
signal.signal(signal.SIGHUP, lambda *_: None)
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
say("ready")
hear()
"""


def test_a_signal_tells_sender_disposition_and_result() -> None:
    with PidnsScript(SIGNALLED) as script:
        script.listen()
        with tracing(in_pidns(script)) as trace:
            for signo in ("HUP", "USR1", "USR2", "TERM", "KILL"):
                subprocess.run(["/bin/kill", f"-{signo}", str(script.init_pid)], check=True)
            script.wait()
            sent = trace.of("signal")
            sent = sent[sent["ns_pid"] == 1]
            default, ignore, caught = (
                CONSTANTS[f"ZT_ACTION_{name}"] for name in ("DEFAULT", "IGNORE", "CAUGHT")
            )
            seen = {
                signal.Signals(int(r["sig"])).name: (
                    int(r["action"]),
                    bool(r["flags"] & F["BLOCKED"]),
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
            assert sent["flags"] & F["BLOCKED"]
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


def test_a_teardown_is_told_from_other_kills() -> None:
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


def test_a_leader_that_ends_before_its_threads_is_told_twice() -> None:
    with PidnsScript(LEADER) as script:
        script.listen()
        with tracing(in_pidns(script)) as trace:
            script.tell()
            (first,) = trace.wait(1, "exit")
            assert not first["flags"] & F["GROUP_DEAD"]
            assert (first["live_threads"], first["exit_code"]) == (1, 3 << 8)
            script.tell()
            assert script.listen() == str(5 << 8)
            (last,) = trace.wait(2, "exit")[1:]
            assert last["flags"] & F["GROUP_DEAD"]
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


ADOPTED = """
say("ready")
hear()
father = os.fork()
if not father:
    for _ in range(5):
        os.fork() or os._exit(4)
    for pid in range(father + 3, father + 8):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    os._exit(0)
for _ in range(6):
    os.wait()
say("done")
hear()
"""


def test_an_adopter_is_told_of_each_zombie_it_inherits() -> None:
    with PidnsScript(ADOPTED) as script:
        script.listen()
        with tracing(in_pidns(script)) as trace:
            script.tell()
            assert script.listen() == "done"
            trace.wait(6, "free")
            to_init = trace.of("signal", ns_pid=1, sig=int(signal.SIGCHLD))
            inherited = to_init[to_init["child_pid"] == 0]
            assert sorted(inherited["si_pid"].tolist()) == [3, 4, 5, 6, 7]
            assert set(inherited["cur_ns_pid"].tolist()) == {2}
            own = to_init[to_init["child_pid"] != 0]
            assert own["cur_ns_pid"].tolist() == [2]


INJECTED_FATHER = """
import subprocess
say("ready")
target = hear()
child = subprocess.Popen(["nsenter", "-t", target, "-p", "/bin/sh", "-c", "exit 6"])
os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
say(child.pid)
hear()
os._exit(0)
"""


def test_a_zombie_put_in_from_outside_is_named_when_it_is_handed_on() -> None:
    with (
        PidnsScript("say('ready'); hear()") as script,
        PidnsScript(INJECTED_FATHER, pidns=False) as father,
    ):
        script.listen()
        father.listen()
        with tracing(in_pidns(script)) as trace:
            father.tell(str(script.init_pid))
            father.listen()
            # nsenter waits for the shell it forked; the shell is in the namespace.
            (shell,) = trace.wait(1, "exit")
            assert shell["parent_pidns_inum"] != script.pidns_inum
            assert shell["exit_code"] == 6 << 8
            (notified,) = trace.of("signal", sig=int(signal.SIGCHLD))
            assert notified["child_pid"] == shell["host_pid"]
            trace.wait(1, "free")


IGNORING = """
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
say("ready")
hear()
for _ in range(7):
    os.fork() or os._exit(2)
try:
    os.wait()
except ChildProcessError:
    say("nobody left")
hear()
"""


def test_who_ignores_sigchld_gets_no_notification() -> None:
    with PidnsScript(IGNORING) as script:
        script.listen()
        with tracing(in_pidns(script)) as trace:
            script.tell()
            assert script.listen() == "nobody left"
            exits = trace.wait(7, "exit")
            assert set(exits["parent_sigchld"].tolist()) == {CONSTANTS["ZT_ACTION_IGNORE"]}
            trace.wait(7, "free")
            assert len(trace.of("signal")) == 0


NOCLDWAIT = """
import ctypes
class Sigaction(ctypes.Structure):
    _fields_ = [("handler", ctypes.c_void_p), ("mask", ctypes.c_ulong * 16),
                ("flags", ctypes.c_int), ("restorer", ctypes.c_void_p)]
ctypes.CDLL(None).sigaction(17, ctypes.byref(Sigaction(flags=2)), None)
say("ready")
hear()
for _ in range(5):
    os.fork() or os._exit(2)
try:
    os.wait()
except ChildProcessError:
    say("nobody left")
hear()
"""


def test_sa_nocldwait_shows_in_exit_and_notification() -> None:
    with PidnsScript(NOCLDWAIT) as script:
        script.listen()
        with tracing(in_pidns(script)) as trace:
            script.tell()
            assert script.listen() == "nobody left"
            exits = trace.wait(5, "exit")
            trace.wait(5, "free")
            assert all(has(exits, "NOCLDWAIT"))
            assert set(exits["parent_sigchld"].tolist()) == {CONSTANTS["ZT_ACTION_DEFAULT"]}
            notified = trace.of("signal", sig=int(signal.SIGCHLD))
            assert len(notified) == 5
            assert all(has(notified, "NOCLDWAIT"))


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


def test_an_oom_victim_is_told_beside_its_kill() -> None:
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
            assert oom["flags"] & F["CUR_SELF"]
            (kill,) = trace.of("signal", sig=int(signal.SIGKILL))
            # mark_victim comes just after the signal, __oom_kill_process before it.
            assert abs(int(oom["boot_ns"]) - int(kill["boot_ns"])) < 10**9
            assert oom["boot_ns"] < exited["boot_ns"]
            assert kill["info"] == CONSTANTS["ZT_INFO_PRIV"]
            assert kill["host_pid"] == exited["host_pid"]
            (cgroup / limit_file).write_text(str(256 << 20))


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


def test_an_exit_is_told_though_the_processes_are_listed_at_that_moment() -> None:
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


def test_a_quiet_target_costs_nothing_however_busy_the_host() -> None:
    with PidnsScript("say('ready'); hear()") as script, storm(2):
        script.listen()
        with tracing(in_pidns(script)) as trace:
            assert len(trace.source.read(0.2)) == 0
            switches = _voluntary_switches()
            cpu = time.process_time()
            assert len(trace.source.read(1.0)) == 0
            assert time.process_time() - cpu < 0.01
            # One sleep, one wake-up, at its end.
            assert _voluntary_switches() - switches <= 2


def _voluntary_switches() -> int:
    line = next(
        line
        for line in Path("/proc/thread-self/status").read_text().splitlines()
        if line.startswith("voluntary_ctxt_switches")
    )
    return int(line.split()[1])


def test_an_event_is_read_within_100_ms() -> None:
    with PidnsScript("say('ready'); hear()") as script:
        script.listen()
        with tracing(in_pidns(script)) as trace:
            delays = []
            for _ in range(7):
                os.kill(script.init_pid, signal.SIGCONT)
                (record,) = trace.source.read(5)
                now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
                delays.append((now - int(record["boot_ns"])) / 1e6)
            assert sorted(delays)[len(delays) // 2] < 100


def test_after_close_no_program_and_no_descriptor_is_left() -> None:
    before = _bpf_descriptors()
    source = BpfSource(everything=True)
    source.set_filter(KernelFilter(everything=True))
    source.attach()
    source.seed()
    source.read(0)
    ids = _program_ids(os.getpid())
    assert len(ids) == _served(source)
    source.close()
    source.close()
    with pytest.raises(ZomtraceError, match="closed"):
        source.read(0)
    assert _bpf_descriptors() == before
    wait_for(lambda: not ids & _all_program_ids(), "the programs are gone")


TRACE_AND_WAIT = """
import sys
from tracer.kernel.source import BpfSource
from tracer.model.target import KernelFilter
source = BpfSource(everything=True)
source.set_filter(KernelFilter(everything=True))
source.attach()
print("attached", flush=True)
sys.stdin.readline()
"""


def test_a_tracer_that_is_killed_leaves_no_program() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", TRACE_AND_WAIT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "attached\n"
        ids = _program_ids(process.pid)
        assert ids
        assert ids <= _all_program_ids()
        process.kill()
    wait_for(lambda: not ids & _all_program_ids(), "the programs are gone")


def _served(source: BpfSource) -> int:
    """How many programs are attached."""
    return sum(outcome.state.source is not None for outcome in source.outcomes)


def _bpf_descriptors() -> Counter[str]:
    found: Counter[str] = Counter()
    for fd in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(fd)
        except FileNotFoundError:
            continue
        if "bpf" in target or "perf_event" in target:
            found[target] += 1
    return found


def _program_ids(pid: int) -> set[int]:
    """Ids of the programs a process holds, as fdinfo shows them."""
    ids = set()
    for fdinfo in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            text = fdinfo.read_text()
        except FileNotFoundError:
            continue
        ids |= {int(line.split()[1]) for line in text.splitlines() if line.startswith("prog_id:")}
    return ids


def _all_program_ids() -> set[int]:
    """Ids of every program the kernel holds."""
    import ctypes

    from tracer.kernel.btf import libbpf

    ids = set()
    following = ctypes.c_uint32(0)
    while libbpf().bpf_prog_get_next_id(following.value, ctypes.byref(following)) == 0:
        ids.add(following.value)
    return ids


def test_the_tracer_stays_small(tmp_path: Path) -> None:
    script = TRACE_AND_WAIT.replace(
        "sys.stdin.readline()",
        "source.seed(); source.read(0.5); source.take_losses()\n"
        "print([l for l in open('/proc/self/status') if 'VmHWM' in l][0].split()[1])",
    )
    with storm(4):
        done = subprocess.run(
            [sys.executable, "-c", script],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
    assert int(done.stdout.split()[1]) < 100_000
