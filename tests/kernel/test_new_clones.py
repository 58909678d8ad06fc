"""Children of clone3() since 7.1: killed with their pidfd, and reaped without a wait."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.containers_at_work import pick
from tests.support.require import require
from tests.support.zomtrace_process import Result, run_zomtrace

pytestmark = pytest.mark.subject("new clones")

AUTOREAP, NO_NEW_PRIVS, AUTOKILL = 1 << 34, 1 << 35, 1 << 36
CLONE = """
import ctypes, os, signal, struct, time
CLONE_PIDFD, NR_clone3 = 0x1000, 435
libc = ctypes.CDLL(None, use_errno=True)
def clone3(flags):
    # struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, ...
    pidfd = ctypes.c_int(-1)
    raw = struct.pack("11Q", flags | CLONE_PIDFD, ctypes.addressof(pidfd), *[0] * 9)
    buffer = ctypes.create_string_buffer(raw, 88)
    pid = libc.syscall(NR_clone3, buffer, 88)
    if pid < 0:
        raise OSError(ctypes.get_errno(), "clone3")
    return pid, pidfd.value
"""
KILLED = f"""{CLONE}
pid, pidfd = clone3({AUTOREAP | NO_NEW_PRIVS | AUTOKILL})
if pid == 0:
    while True:
        signal.pause()
time.sleep(0.2)
os.close(pidfd)
time.sleep(0.5)
"""
REAPED = f"""{CLONE}
pid, pidfd = clone3({AUTOREAP})
if pid == 0:
    os._exit(3)
time.sleep(0.5)
"""
PROBE = f"""{CLONE}
try:
    pid, pidfd = clone3({AUTOREAP | NO_NEW_PRIVS | AUTOKILL})
except OSError:
    os._exit(1)
os._exit(0)
"""


@pytest.fixture(autouse=True)
def _flags() -> None:
    status = os.spawnv(os.P_WAIT, "/usr/bin/python3", ["python3", "-I", "-S", "-c", PROBE])
    require("clone-autoreap", status == 0, "this kernel's clone3() has no CLONE_AUTOREAP (7.1)")


def traced(script: str, tmp_path: Path) -> Result:
    path = tmp_path / "script.py"
    path.write_text(script)
    return run_zomtrace("run", "--", "/usr/bin/python3", "-I", "-S", str(path))


def test_a_kill_by_a_closed_pidfd_has_a_trigger_and_no_sender(tmp_path: Path) -> None:
    result = traced(KILLED, tmp_path)
    child = result.process(is_init=False)
    init = result.process(is_init=True)
    assert pick(child, "term_signal", "cause", "sender_host_pid", "trigger_host_pid") == {
        "term_signal": signal.Signals.SIGKILL.name, "cause": "unknown", "sender_host_pid": None,
        "trigger_host_pid": init["host_pid"],
    }  # fmt: skip
    assert "ZT106" not in result.codes


def test_a_child_that_is_reaped_without_a_wait_is_no_zombie(tmp_path: Path) -> None:
    result = traced(REAPED, tmp_path)
    child = result.process(is_init=False)
    assert pick(child, "exit_code", "reap_kind", "zombie_ns") == {
        "exit_code": 3, "reap_kind": "auto", "zombie_ns": 0,
    }  # fmt: skip
    assert result.codes == []
