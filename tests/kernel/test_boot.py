"""What zomtrace says where the kernel allows or lacks something, from a cold start."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

from tests.kernel.plan import OOM, PLAN, SPARES
from tests.support.require import require, require_program, require_root
from tests.support.zomtrace_process import run_zomtrace
from tracer.kernel.rights import LOCKDOWN

pytestmark = pytest.mark.cold

Fact = Callable[[str, object], None]


def _lockdown() -> str:
    """The level that is on: none, integrity or confidentiality."""
    try:
        text = LOCKDOWN.read_text()
    except OSError:
        return "none"
    return text.partition("[")[2].partition("]")[0]


@pytest.mark.subject("lockdown")
def test_integrity_does_not_stop_a_trace_and_confidentiality_is_named(fact: Fact) -> None:
    require_root()
    level = _lockdown()
    require("lockdown", level != "none", "this kernel was booted without lockdown=")
    if level == "integrity":
        result = run_zomtrace("run", "--", "sh", "-c", "exit 7", within_s=100)
        assert result.stop["init_exit_code"] == 7
        hooks = {hook["name"]: hook["source"] for hook in result.report["hooks"]}
        assert hooks["reap"] == "kprobe:release_task"
        # It compiles, whatever has been kept.
        doctor = subprocess.run(
            [require_program("zomtrace", "zomtrace"), "doctor", "--json"],
            capture_output=True, text=True, timeout=200, check=False,
        )  # fmt: skip
        assert doctor.returncode == 0, doctor.stdout + doctor.stderr
        planned = {hook["name"]: hook["source"] for hook in json.loads(doctor.stdout)["hooks"]}
        assert planned == hooks
        assert planned.pop("oom") in OOM
        assert {name: planned[name] for name in PLAN} == PLAN
        assert set(planned) - set(PLAN) <= set(SPARES)
    else:
        result = run_zomtrace("run", "--", "true", status=69, within_s=100)
        assert result.stdout == b""
        assert "confidentiality" in result.stderr
    fact(f"lockdown={level}", "works" if level == "integrity" else "exit 69, said why")


@pytest.mark.subject("no BTF")
def test_a_kernel_without_btf_is_one_clear_line(fact: Fact) -> None:
    require_root()
    require_program("unshare", "unshare")
    zomtrace = require_program("zomtrace", "zomtrace")
    hide = 'mount -t tmpfs none /sys/kernel/btf && exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", hide, "sh", zomtrace, "run", "--", "true"],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 69, done.stderr
    assert done.stdout == ""
    first, *rest = done.stderr.splitlines()
    assert first.startswith("zomtrace: ")
    assert "/sys/kernel/btf/vmlinux" in first
    assert len(rest) <= 1
    fact("without BTF", first.removeprefix("zomtrace: "))
