"""Who is notified of an exit, in the records of BpfSource: a parent, an adopter, no process."""

from __future__ import annotations

import signal

import pytest

from tests.support.bpf_source import has, in_pidns, tracing
from tests.support.pidns_script import PidnsScript
from tracer.wire.header import CONSTANTS

pytestmark = pytest.mark.root

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


def test_an_adopter_is_notified_of_each_zombie_it_inherits() -> None:
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


INJECTING_PARENT = """
import subprocess
say("ready")
target = hear()
child = subprocess.Popen(["nsenter", "-t", target, "-p", "/bin/sh", "-c", "exit 6"])
os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
say(child.pid)
hear()
os._exit(0)
"""


def test_an_injected_zombie_is_named_when_it_is_handed_on() -> None:
    with (
        PidnsScript("say('ready'); hear()") as script,
        PidnsScript(INJECTING_PARENT, pidns=False) as father,
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
    say("no child left")
hear()
"""


def test_who_ignores_sigchld_gets_no_notification() -> None:
    with PidnsScript(IGNORING) as script:
        script.listen()
        with tracing(in_pidns(script)) as trace:
            script.tell()
            assert script.listen() == "no child left"
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
    say("no child left")
hear()
"""


def test_sa_nocldwait_shows_in_exit_and_notification() -> None:
    with PidnsScript(NOCLDWAIT) as script:
        script.listen()
        with tracing(in_pidns(script)) as trace:
            script.tell()
            assert script.listen() == "no child left"
            exits = trace.wait(5, "exit")
            trace.wait(5, "free")
            assert all(has(exits, "NOCLDWAIT"))
            assert set(exits["parent_sigchld"].tolist()) == {CONSTANTS["ZT_ACTION_DEFAULT"]}
            notified = trace.of("signal", sig=int(signal.SIGCHLD))
            assert len(notified) == 5
            assert all(has(notified, "NOCLDWAIT"))
