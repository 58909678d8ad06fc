"""What the kernel side folds, and what opens it: the same on every kernel, in both modes."""

from __future__ import annotations

import os
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tests.support.pidns_script import PidnsScript
from tests.support.waiting import wait_for
from tracer.kernel.source import BpfSource
from tracer.model.target import KernelFilter
from tracer.wire.layout import CONSTANTS

Records = npt.NDArray[np.void]

MIN_ZOMBIE_NS = 1_000_000_000
ORDINARY, KILLED, ORPHANED = 31, 7, 5
LYING = 211
"""More than one buffer of the task iterator holds: it asks again for the one that did not fit."""

SCRIPT = f"""
say("ready")
hear()
def child(act):
    pid = os.fork()
    if not pid:
        act()
        os._exit(0)
    return pid
for i in range({ORDINARY}):
    act = (lambda: os.execv("/bin/true", ["true"])) if i % 2 else (lambda: os._exit(i))
    pid = child(act)
    _, status = os.waitpid(pid, 0)
    say("ordinary", pid, status)
for i in range({KILLED}):
    pid = child(lambda: os.kill(os.getpid(), signal.SIGKILL))
    _, status = os.waitpid(pid, 0)
    say("killed", pid, status)
for i in range({ORPHANED}):
    r, w = os.pipe()
    def orphan():
        os.read(r, 1)
        os._exit(9)
    def father():
        say("orphaned", child(orphan), 0)
        os._exit(3)
    os.waitpid(child(father), 0)
    os.write(w, b"x")
    os.wait()
    os.close(r), os.close(w)
for i in range({LYING}):
    say("lying", child(lambda: os._exit(5)), 0)
alive = child(lambda: time.sleep(1000))
say("alive", alive, 0)
say("done")
hear()
os.kill(alive, signal.SIGKILL)
hear()
"""


def check_folding(*, allow_kprobes: bool) -> None:
    """Trace a namespace folded, and compare with what its init says of each process."""
    with (
        PidnsScript(SCRIPT) as script,
        BpfSource(everything=False, allow_kprobes=allow_kprobes) as source,
    ):
        script.listen()
        source.set_filter(KernelFilter(pidns_inums=frozenset({script.pidns_inum})))
        source.fold(MIN_ZOMBIE_NS)
        source.attach()
        source.seed()
        script.tell()
        said: dict[str, dict[int, int]] = {}
        while (line := script.listen()) != "done":
            word, pid, status = line.split()
            said.setdefault(word, {})[int(pid)] = int(status)
        records = source.read(0)

        def told() -> bool:
            nonlocal records
            records = np.concatenate([records, source.read(0)])
            return len(opened(records, said["lying"])) == LYING

        wait_for(told, "zombies that lie about")
        records = np.concatenate([records, source.finish()])
        assert source.take_losses() == {}
    lives = of_kind(records, "lifetime")
    whole = lives[(lives["flags"] & CONSTANTS["ZT_F_RELEASED"]) != 0]
    # By their own numbers, which the namespace gave away once each.
    assert (
        dict(zip(whole["ns_pid"].tolist(), whole["exit_code"].tolist(), strict=True))
        == (said["ordinary"])
    )
    assert sorted(np.unique(whole["ns_pid"]).tolist()) == sorted(whole["ns_pid"].tolist())
    assert bool(((whole["flags"] & CONSTANTS["ZT_F_EXACT"]) != 0).all()) is (
        allow_kprobes and has_kprobes()
    )
    times = [whole[name] for name in ("forked_ns", "exit_ns", "notified_ns", "boot_ns")]
    for earlier, later in pairwise(times):
        assert (earlier <= later).all()
    executed = whole[whole["exec_ns"] != 0]
    assert len(executed) == ORDINARY // 2
    assert {bytes(names[0]) for names in executed["chain_comm"]} == {b"true"}
    # Nothing else is said of them but their execs, to whoever reads /proc.
    others = records[np.isin(records["ns_pid"], list(said["ordinary"]))]
    others = others[others["kind"] != CONSTANTS["ZT_KIND_LIFETIME"]]
    assert set(others["flags"][others["kind"] == kind("exec")] & CONSTANTS["ZT_F_FOLDED"]) <= {
        CONSTANTS["ZT_F_FOLDED"]
    }
    assert set(others["kind"].tolist()) <= {kind("exec")}
    for word in ("killed", "orphaned", "lying", "alive"):
        # What they were was told once, and before whatever came of them.
        assert sorted(opened(records, said[word])["ns_pid"].tolist()) == sorted(said[word])
    for word, kinds in (
        ("killed", ("signal", "exit", "free")),
        ("orphaned", ("exit", "free")),
    ):
        for name in kinds:
            found = of_kind(records, name)
            assert set(said[word]) <= set(found["ns_pid"].tolist()), (word, name)
    lying = opened(records, said["lying"])
    assert (lying["exit_code"] == 5 << 8).all()
    assert (lying["exit_ns"] != 0).all()
    assert (lying["notified_ns"] != 0).all()


def opened(records: Records, ns_pids: dict[int, int]) -> Records:
    """The lives among them that were told so far as they were."""
    lives = of_kind(records, "lifetime")
    lives = lives[(lives["flags"] & CONSTANTS["ZT_F_RELEASED"]) == 0]
    found: Records = lives[np.isin(lives["ns_pid"], list(ns_pids))]
    return found


def of_kind(records: Records, name: str) -> Records:
    """The records of a kind."""
    found: Records = records[records["kind"] == kind(name)]
    return found


def kind(name: str) -> int:
    """The number of a kind."""
    return CONSTANTS[f"ZT_KIND_{name.upper()}"]


def has_kprobes() -> bool:
    """Whether this kernel has them."""
    return os.path.exists("/sys/bus/event_source/devices/kprobe/type")
