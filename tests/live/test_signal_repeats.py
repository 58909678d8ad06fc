"""Signals that their target handles, sent again and again: all counted, few told."""

from __future__ import annotations

import pytest

from tests.support.pidns_script import PidnsScript
from tests.support.zomtrace_process import Result, Zomtrace

pytestmark = pytest.mark.live

SENT = 10_007
DEADLY = 7

SCRIPT = f"""
say("ready")
hear()
target = os.fork()
if not target:
    signal.signal(signal.SIGUSR1, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: None)
    say("handles")
    while True: time.sleep(1000)
hear()
sender = os.fork()
if not sender:
    for i in range({SENT}):
        os.kill(target, signal.SIGUSR1)
    for i in range({DEADLY}):
        victim = os.fork()
        if not victim:
            time.sleep(1000)
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)
    os._exit(0)
os.waitpid(sender, 0)
say("sent")
hear()
"""


def traced(*options: str) -> Result:
    """Trace the script until it has sent all."""
    with PidnsScript(SCRIPT) as script:
        script.listen()
        with Zomtrace("--pidns", str(script.pidns_inum), *options) as trace:
            trace.wait_attached()
            script.tell()
            assert script.listen() == "handles"
            script.tell()
            assert script.listen(60) == "sent"
            return trace.stop_tracing()


def test_each_is_counted_and_few_are_reported() -> None:
    result = traced()
    assert result.report["lost"] == {}
    lines = result.of_kind("signal", signal="SIGUSR1")
    assert sum(1 + line["repeats"] for line in lines) == SENT
    assert 8 <= len(lines) < SENT // 100
    assert [line["repeats"] for line in lines[:8]] == [0] * 8
    for line in lines:
        assert (line["repeats_since_boot_ns"] is not None) == (line["repeats"] > 0)
        assert (line["repeats_since_boot_ns"] or 0) <= line["boot_ns"]


def test_what_kills_is_reported_each_time() -> None:
    result = traced()
    kills = result.of_kind("signal", signal="SIGKILL")
    assert len([line for line in kills if line["sender_comm"] == "python3"]) == DEADLY
    assert {line["repeats"] for line in kills} == {0}


def test_with_v_every_signal_has_its_line() -> None:
    result = traced("-v")
    if not result.report["lost"]:
        assert len(result.of_kind("signal", signal="SIGUSR1")) == SENT
