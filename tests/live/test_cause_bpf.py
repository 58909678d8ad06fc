"""A kill by a BPF program: as the kernel's for a CPU time limit, and no limit is there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.containers_at_work import pick
from tests.support.zomtrace_process import Zomtrace
from tracer.wire.header import bpf_directory

KILLER = Path(__file__).parents[1] / "support" / "bpf_killer.py"
VICTIM = "while sleep 0.05; do :; done"


def test_a_kill_by_a_bpf_program_is_no_cpu_time_limit() -> None:
    with Zomtrace("run", "-v", "--", "sh", "-c", f"sh -c '{VICTIM}'; :") as trace:
        trace.wait_attached()
        born = trace.wait_event("exec", ns_pid=2)
        environment = {**os.environ, "BCC_KERNEL_SOURCE": str(bpf_directory() / "kernel-tree")}
        subprocess.run(
            [sys.executable, str(KILLER), str(born["host_pid"])],
            check=True,
            timeout=60,
            env=environment,
        )
        result = trace.finish()
    process = result.process(ns_pid=2)
    assert pick(process, "term_signal", "cause", "sender_host_pid", "trigger_host_pid") == {
        "term_signal": "SIGKILL", "cause": "unknown", "sender_host_pid": None,
        "trigger_host_pid": process["host_pid"],
    }  # fmt: skip
    assert "died of SIGKILL, which the kernel raised for no reason" in result.report["headline"]
