"""A user who has many namespaces, and many processes in each, holds no trace of the host up."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.require import require_program
from tests.support.strangers import MALLORY
from tests.support.waiting import PATIENCE
from tests.support.zomtrace_process import Zomtrace

pytestmark = pytest.mark.root

_CHAINS = 16
_DEPTH = 30
_MEMBERS = 64
_ENDS_S = 8.0 * PATIENCE
"""Reading all of them takes more than twenty seconds on a machine that does nothing else."""
_NESTING = """
import ctypes, os, signal, sys, time
libc = ctypes.CDLL(None)
chains, depth, members = map(int, sys.argv[1:])
ready, is_ready = os.pipe()
def fork():
    pid = os.fork()
    if not pid:
        libc.prctl(1, signal.SIGKILL)
    return pid
def nest(levels):
    if not levels:
        for _ in range(members):
            if not fork():
                signal.pause()
        os.write(is_ready, b"x")
        signal.pause()
    if libc.unshare(0x20000000):
        sys.exit("no PID namespace")
    if not fork():
        nest(levels - 1)
    signal.pause()
if libc.unshare(0x10000000):
    sys.exit("no user namespace")
for _ in range(chains):
    if not fork():
        nest(depth)
for _ in range(chains):
    os.read(ready, 1)
print("ready", flush=True)
signal.pause()
"""


@pytest.fixture(scope="module")
def nested() -> Iterator[None]:
    """Have them there."""
    require_program("setpriv", "setpriv")
    become = ["setpriv", f"--reuid={MALLORY}", f"--regid={MALLORY}", "--clear-groups"]
    python = ["/usr/bin/python3", "-IS", "-c", _NESTING]
    with subprocess.Popen(
        [*become, *python, *map(str, (_CHAINS, _DEPTH, _MEMBERS))], stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield
        finally:
            process.kill()


@pytest.mark.usefixtures("nested")
@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_trace_of_the_host(signo: signal.Signals) -> None:
    with Zomtrace("--all", holds_contract=False) as trace:
        trace.wait_attached()
        trace.wait_event("observation", source="proc", within_s=_ENDS_S)
        trace.interrupt(signo).finish(status=0, within_s=_ENDS_S)


@pytest.mark.usefixtures("nested")
def test_a_trace_of_the_host_ends_when_its_time_is_up() -> None:
    with Zomtrace("--all", "-d", "0.5", holds_contract=False) as trace:
        trace.wait_attached()
        trace.finish(status=0, within_s=_ENDS_S)
