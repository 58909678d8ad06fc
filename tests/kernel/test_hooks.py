"""The hook plan of this kernel, and each of its kprobes at work."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.kernel.plan import OOM, PLAN, SPARES
from tests.support.pidns_script import PidnsScript
from tests.support.require import require
from tests.support.waiting import wait_for
from tracer.kernel.plan import kprobes_unavailable
from tracer.kernel.source import BpfSource
from tracer.model.target import KernelFilter
from tracer.wire.header import CONSTANTS

Fact = Callable[[str, object], None]
Records = npt.NDArray[np.void]

_CHILDREN = 31


@pytest.fixture(autouse=True)
def _kprobes() -> None:
    require("kprobes", kprobes_unavailable() is None, str(kprobes_unavailable()))


class Watched:
    """A source that traces one namespace, and the records so far."""

    def __init__(self, source: BpfSource) -> None:
        self.source = source
        self._records: list[Records] = []

    def of(self, kind: str) -> Records:
        """The records of a kind."""
        self._records = [np.concatenate([*self._records, self.source.read(0)])]
        records = self._records[0]
        selected: Records = records[records["kind"] == CONSTANTS[f"ZT_KIND_{kind.upper()}"]]
        return selected

    def wait(self, count: int, kind: str) -> Records:
        """Wait for so many records of a kind; more is an error."""

        def enough() -> tuple[Records] | None:
            got = self.of(kind)
            return (got,) if len(got) >= count else None

        found = wait_for(enough, f"{count} x {kind}")[0]
        assert len(found) == count
        return found


@contextmanager
def watching(script: PidnsScript) -> Iterator[Watched]:
    with BpfSource(everything=False) as source:
        source.set_filter(KernelFilter(pidns_inums=frozenset({script.pidns_inum})))
        source.attach()
        yield Watched(source)


@pytest.mark.subject("hook plan")
def test_every_row_has_its_best_hook(fact: Fact) -> None:
    with BpfSource(everything=False) as source:
        source.set_filter(KernelFilter())
        hooks = {hook.name: hook for hook in source.attach()}
        rejected = {
            outcome.state.name: [f"{one.source}: {one.reason}" for one in outcome.rejected]
            for outcome in source.outcomes
            if outcome.rejected
        }
        load_seconds = source.load_seconds
    fact("plan", {name: hook.source for name, hook in hooks.items()})
    fact("rejected", rejected)
    fact("load", load_seconds)
    oom = hooks.pop("oom")
    assert oom.source in OOM
    # Only where tracepoints can be preempted; test_a_storm says whether that is true.
    spares = {name: hooks.pop(name).source for name in SPARES if name in hooks}
    assert spares in ({}, SPARES)
    assert {name: hook.source for name, hook in hooks.items()} == PLAN
    assert {name: hook.degrades for name, hook in hooks.items()} == dict.fromkeys(hooks)


REAPED = f"""
say("ready")
hear()
for i in range({_CHILDREN}):
    pid = os.fork()
    if not pid:
        os._exit(i)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    os.waitpid(pid, 0)
    say(pid, before, time.clock_gettime_ns(time.CLOCK_BOOTTIME))
hear()
"""


@pytest.mark.subject("reap")
def test_a_reap_is_reported_between_the_waits_begin_and_end(fact: Fact) -> None:
    with PidnsScript(REAPED) as script:
        script.listen()
        with watching(script) as watched:
            script.tell()
            told = [tuple(map(int, script.listen().split())) for _ in range(_CHILDREN)]
            frees = watched.wait(_CHILDREN, "free")
            reaps = watched.of("reap")
            init_pid = script.init_pid
    assert sorted(reaps["ns_pid"].tolist()) == sorted(pid for pid, _, _ in told)
    assert set(reaps["cur_host_pid"].tolist()) == {init_pid}
    at = dict(zip(reaps["ns_pid"].tolist(), reaps["boot_ns"].tolist(), strict=True))
    for pid, before_ns, after_ns in told:
        assert before_ns <= at[pid] <= after_ns
    freed = dict(zip(frees["ns_pid"].tolist(), frees["boot_ns"].tolist(), strict=True))
    late = sorted((freed[pid] - at[pid]) / 1e6 for pid in at)
    assert late[0] >= 0
    fact("free after reap ms", {"median": round(late[len(late) // 2], 2),
                                "max": round(late[-1], 2)})  # fmt: skip


@pytest.mark.subject("exit begin")
def test_an_exit_begins_before_it_is_reported(fact: Fact) -> None:
    with PidnsScript(REAPED) as script:
        script.listen()
        with watching(script) as watched:
            script.tell()
            for _ in range(_CHILDREN):
                script.listen()
            watched.wait(_CHILDREN, "free")
            begins, exits = watched.of("exit_begin"), watched.of("exit")
    assert len(begins) == len(exits) == _CHILDREN
    ended = dict(zip(exits["host_pid"].tolist(), exits["boot_ns"].tolist(), strict=True))
    took = [ended[int(b["host_pid"])] - int(b["boot_ns"]) for b in begins]
    assert min(took) > 0


STORM = """
say("ready")
hear()
for i in range(17):
    if not os.fork():
        for j in range(5):
            if not os.fork():
                os.execv("/bin/true", ["true"])
        for j in range(5):
            os.wait()
        os._exit(0)
for i in range(17):
    os.wait()
say("done")
hear()
"""
_STORM_PROCESSES = 17 * 6
_STORM_EXECS = 17 * 5


@pytest.mark.subject("storm")
def test_who_ends_while_another_is_being_reported_is_reported_too(fact: Fact) -> None:
    with PidnsScript(STORM) as script:
        script.listen()
        with watching(script) as watched:
            script.tell()
            assert script.listen() == "done"
            watched.wait(_STORM_PROCESSES, "free")
            told = {kind: len(watched.of(kind)) for kind in ("fork", "exec", "exit", "reap")}
            lost = watched.source.take_losses()
            misses = watched.source.misses()
    assert told == {
        "fork": _STORM_PROCESSES, "exec": _STORM_EXECS, "exit": _STORM_PROCESSES,
        "reap": _STORM_PROCESSES,
    }  # fmt: skip
    assert lost == {}
    assert misses["fork"] == 0
    for kind in ("exit", "exec"):
        fact(f"made good of {told[kind]} {kind}s", misses[kind])
        assert f"{kind}_spare" in misses or misses[kind] == 0


TEARDOWN = """
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
for i in range(13):
    if not os.fork():
        signal.pause()
say("ready")
hear()
"""


@pytest.mark.subject("teardown")
def test_a_teardown_begins_and_ends_around_what_it_kills(fact: Fact) -> None:
    with PidnsScript(TEARDOWN) as script:
        script.listen()
        with watching(script) as watched:
            init_pid = script.init_pid
            os.kill(init_pid, signal.SIGTERM)
            script.wait()
            watched.wait(14, "free")
            (begin,), (end,) = watched.of("teardown_begin"), watched.of("teardown_end")
            signals, exits = watched.of("signal"), watched.of("exit")
    kills = signals[signals["sig"] == signal.SIGKILL]
    assert begin["host_pid"] == end["host_pid"] == init_pid
    assert len({int(pid) for pid in kills["ns_pid"]}) == 13
    assert kills["boot_ns"].min() > begin["boot_ns"]
    dead = exits[exits["ns_pid"] != 1]
    assert len(dead) == 13
    assert dead["boot_ns"].max() < end["boot_ns"]
    (init,) = exits[exits["ns_pid"] == 1]
    assert init["boot_ns"] < begin["boot_ns"]
    fact("teardown of 13 ms", round(int(end["boot_ns"] - begin["boot_ns"]) / 1e6, 2))


REFUSED = """
say("ready")
hear()
refused = 0
for i in range(17):
    try:
        pid = os.fork()
    except OSError as error:
        refused += 1
        last = error.errno
        continue
    if not pid:
        signal.pause()
say(refused, last)
hear()
"""


@contextmanager
def a_cgroup(**limits: str) -> Iterator[Path]:
    path = Path(f"/sys/fs/cgroup/zt-hooks-{os.getpid()}")
    path.mkdir()
    try:
        for name, value in limits.items():
            (path / name.replace("_", ".", 1)).write_text(value)
        yield path
    finally:
        wait_for(lambda: _removed(path), f"{path} is empty")


def _removed(path: Path) -> bool:
    try:
        path.rmdir()
    except OSError:
        return False
    return True


@pytest.mark.subject("fork failed")
def test_a_failed_fork_is_reported_with_its_caller_and_errno() -> None:
    with a_cgroup(pids_max="7") as cgroup, PidnsScript(REFUSED) as script:
        script.listen()
        with watching(script) as watched:
            init_pid = script.init_pid
            (cgroup / "cgroup.procs").write_text(str(init_pid))
            script.tell()
            refused, last = map(int, script.listen().split())
            failed = watched.wait(refused, "fork_failed")
    # Six children beside PID 1 fill the limit.
    assert (refused, last) == (11, errno.EAGAIN)
    assert set(failed["host_pid"].tolist()) == {init_pid}
    assert set(failed["error"].tolist()) == {-errno.EAGAIN}


EATER = """
say("ready")
hear()
pid = os.fork()
if not pid:
    hog = bytearray()
    while True:
        hog += b"x" * (1 << 20)
say(pid, os.waitpid(pid, 0)[1])
hear()
"""


@pytest.mark.subject("oom")
def test_an_oom_kill_is_reported_with_its_victim() -> None:
    with a_cgroup(memory_max=str(48 << 20)) as cgroup, PidnsScript(EATER) as script:
        script.listen()
        with watching(script) as watched:
            (cgroup / "cgroup.procs").write_text(str(script.init_pid))
            script.tell()
            victim, status = map(int, script.listen().split())
            (oom,) = watched.wait(1, "oom")
            signals, exits = watched.of("signal"), watched.of("exit")
    assert status == signal.SIGKILL
    (ended,) = exits[exits["ns_pid"] == victim]
    assert oom["host_pid"] == ended["host_pid"]
    (kill,) = signals[(signals["sig"] == signal.SIGKILL) & (signals["ns_pid"] == victim)]
    assert kill["info"] == CONSTANTS["ZT_INFO_PRIV"]


SLEEPERS = """
for i in range(7):
    if not os.fork():
        signal.pause()
say("ready")
hear()
"""


@pytest.mark.subject("cgroup.kill")
def test_a_cgroup_kill_has_no_sender_and_one_trigger() -> None:
    with a_cgroup() as cgroup, PidnsScript(SLEEPERS) as script:
        script.listen()
        if not (cgroup / "cgroup.kill").exists():
            pytest.skip("this kernel has no cgroup.kill (it came with 5.14)")
        children = Path(f"/proc/{script.init_pid}/task/{script.init_pid}/children").read_text()
        for pid in children.split():
            (cgroup / "cgroup.procs").write_text(pid)
        with watching(script) as watched:
            writer = subprocess.Popen(["/bin/sh", "-c", f"echo 1 >{cgroup}/cgroup.kill"])
            assert writer.wait(60) == 0
            watched.wait(7, "exit")
            signals = watched.of("signal")
    kills = signals[signals["sig"] == signal.SIGKILL]
    assert sorted(kills["host_pid"].tolist()) == sorted(map(int, children.split()))
    assert set(kills["info"].tolist()) == {CONSTANTS["ZT_INFO_NOINFO"]}
    assert set(kills["cur_host_pid"].tolist()) == {writer.pid}


AUTO = f"""
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
say("ready")
hear()
import _thread, ctypes
for i in range({_CHILDREN}):
    if not os.fork():
        started, go = _thread.allocate_lock(), _thread.allocate_lock()
        go.acquire()
        def last():
            # The leader is a zombie before this thread, the last one, ends.
            # (This /proc is of the namespace outside: it knows other numbers.)
            leader = "/proc/self/task/%s/stat" % os.readlink("/proc/self")
            while open(leader).read().split()[2] != "Z":
                os.sched_yield()
            ctypes.CDLL(None).syscall(231, 5)
        _thread.start_new_thread(last, ())
        ctypes.CDLL(None).syscall(60, 3)
try:
    os.wait()
except ChildProcessError:
    say("none left")
hear()
"""


@pytest.mark.subject("release loop")
def test_a_leader_released_inside_release_tasks_own_loop_is_not_missed(fact: Fact) -> None:
    with PidnsScript(AUTO) as script:
        script.listen()
        with watching(script) as watched:
            script.tell()
            assert script.listen() == "none left"
            frees = watched.wait(_CHILDREN, "free")
            reaps, exits = watched.of("reap"), watched.of("exit")
    # No second entry of release_task tells of the leader: the net does.
    ended = exits[(exits["flags"] & CONSTANTS["ZT_F_GROUP_DEAD"]) != 0]
    assert len(ended) == _CHILDREN
    assert sorted(frees["host_pid"].tolist()) == sorted(ended["host_pid"].tolist())
    assert set(reaps["host_pid"].tolist()) <= set(frees["host_pid"].tolist())
    fact("of 31 leaders released in the loop, told by release_task", len(reaps))
