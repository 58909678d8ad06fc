"""Old zombies whose release their pidfds tell, where no kprobe does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.pidns_script import PidnsScript
from tests.support.require import require
from tests.support.waiting import wait_for
from tests.support.zomtrace_process import Zomtrace
from tracer.kernel.pidfds import SOURCE, pidfds_hang_up

pytestmark = [pytest.mark.live, pytest.mark.alone]

ZOMBIES = 31
SLACK_NS = 50_000_000
"""Promised are 5 ms; a machine that is busy with other tests takes its time."""

SCRIPT = f"""
say("ready")
hear()
pids = []
for i in range({ZOMBIES}):
    pid = os.fork()
    if not pid:
        os._exit(0)
    pids.append(pid)
say("forked")
hear()
for pid in pids:
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    os.waitpid(pid, 0)
    say(pid, before, time.clock_gettime_ns(time.CLOCK_BOOTTIME))
    time.sleep(0.01)
hear()
"""


def test_an_old_zombies_time_is_exact_without_kprobes() -> None:
    require("pidfds that hang up", pidfds_hang_up(), "this kernel's pidfds tell of no release")
    with PidnsScript(SCRIPT) as script:
        script.listen()
        with Zomtrace(
            "--pidns", str(script.pidns_inum), "--no-kprobes", "--min-zombie", "0.5"
        ) as trace:
            trace.wait_attached()
            # It has others too: of the namespace's init.
            before = watched(trace.process.pid)
            script.tell()
            assert script.listen() == "forked"
            # They are looked at from half a second on, and watched from there.
            wait_for(lambda: watched(trace.process.pid) >= before + ZOMBIES, "their pidfds")
            script.tell()
            truth = {}
            for _ in range(ZOMBIES):
                pid, before_ns, after_ns = map(int, script.listen().split())
                truth[pid] = before_ns, after_ns
            wait_for(lambda: told(trace) == ZOMBIES, "their reaps")
            result = trace.stop_tracing()
    hooks = {hook["name"]: hook["source"] for hook in result.lines[0]["hooks"]}
    assert hooks["zombie_reap"] == SOURCE
    reaps = {line["ns_pid"]: line for line in result.of_kind("reap")}
    assert reaps.keys() == truth.keys()
    for pid, (before_ns, after_ns) in truth.items():
        assert reaps[pid]["precision"] == "exact"
        assert reaps[pid]["reap_kind"] == "parent"
        assert before_ns <= reaps[pid]["boot_ns"] <= after_ns + SLACK_NS
    late = sorted(reaps[pid]["boot_ns"] - after_ns for pid, (_, after_ns) in truth.items())
    print(
        "after waitpid's return, us: median", late[len(late) // 2] // 1000, "max", late[-1] // 1000
    )


def told(trace: Zomtrace) -> int:
    """How many reaps it told."""
    return sum(line["kind"] == "reap" for line in trace.lines_so_far())


def watched(pid: int) -> int:
    """How many pidfds a process has."""
    found = 0
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found += "pidfd" in os.readlink(fd)
        except OSError:
            continue
    return found
