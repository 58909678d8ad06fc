"""The command line of who sent a fatal signal, without the secrets in it."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.live.workloads import workload
from tests.live.zomtrace_process import Zomtrace

pytestmark = pytest.mark.live


def test_sender_outside_that_lives_on_is_shown_without_its_secrets() -> None:
    with Zomtrace("run", "--min-zombie", "60", "--", workload("lastly"), "sleeping") as trace:
        trace.wait_attached().wait_stderr("ready\n")
        init = trace.wait_event("exec", comm="lastly")["host_pid"]
        # A shell's own kill: the shell is there until its input ends.
        with subprocess.Popen(
            ["sh", "-c", f"kill -9 {init}; read _", "--password=hunter2", "--token", "abc"],
            stdin=subprocess.PIPE,
        ) as sender:
            line = trace.wait_line(
                lambda line: line["kind"] == "observation" and line["host_pid"] == sender.pid,
                "the sender's command line",
            )
        result = trace.finish()
    shown = f"sh -c kill -9 {init}; read _ --password=*** --token ***"
    assert line["source"] == "proc"
    assert line["values"] == {"cmdline": shown}
    assert f"It ran as: {shown}" in result.finding("ZT106")["detail"]
    assert "hunter2" not in result.stdout.decode()
    assert result.process(is_init=True)["sender_host_pid"] == sender.pid


def test_our_own_command_line_is_no_evidence() -> None:
    with Zomtrace("run", "--", workload("lastly"), "unseen") as trace:
        trace.wait_attached().wait_stderr("ready\n")
        result = trace.stop_tracing()
        pid = trace.process.pid
    assert pid != os.getpid()
    assert not result.of_kind("observation", host_pid=pid)
