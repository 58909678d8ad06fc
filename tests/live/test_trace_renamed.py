"""A process that gives itself another name is known by its newest one."""

from __future__ import annotations

from tests.support.pidns_script import PidnsScript
from tests.support.require import require_root
from tests.support.zomtrace_process import Zomtrace

RENAMED = """
import ctypes
libc = ctypes.CDLL(None)
say("ready")
hear()
if os.fork() == 0:
    libc.prctl(15, b"worker-new", 0, 0, 0)
    say("renamed")
    signal.pause()
hear()
"""


def test_a_process_that_runs_on_is_reported_by_its_newest_name() -> None:
    require_root()
    with PidnsScript(RENAMED) as script:
        assert script.listen() == "ready"
        # A life that goes on is told of at once, not when it is over.
        with Zomtrace("--pidns", str(script.pidns_inum), "-v") as trace:
            trace.wait_attached()
            script.tell()
            assert script.listen() == "renamed"
            trace.wait_event("fork")
            result = trace.stop_tracing()
    assert [one["comm"] for one in result.processes(end="running", is_init=False)] == ["worker-new"]
