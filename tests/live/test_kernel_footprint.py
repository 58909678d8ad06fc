"""What BpfSource costs while it traces, and that it leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.support.bpf_source import in_pidns, tracing
from tests.support.noise import storm
from tests.support.pidns_script import PidnsScript
from tests.support.waiting import wait_for
from tracer.errors import ZomtraceError
from tracer.kernel.pidfds import SOURCE as PIDFDS
from tracer.kernel.source import BpfSource
from tracer.model.target import KernelFilter

pytestmark = [pytest.mark.root, pytest.mark.alone]


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
    return sum(outcome.state.source not in (None, PIDFDS) for outcome in source.outcomes)


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
