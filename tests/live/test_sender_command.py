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


def test_sender_inside_keeps_its_command_line_though_it_is_gone_at_once() -> None:
    # It is read as the program begins: what it signals dies of it, and so does the sender.
    secret, long_word = "hunter2", "x" * 500
    sender = "sleep 0.3; kill -9 $1; exit"
    script = (
        f"sleep 1000 & sh -c '{sender}' sh $! --password={secret} {long_word}; "
        "echo ready; exec sleep 1000"
    )
    with Zomtrace("run", "--grace", "0.2", "--", "sh", "-c", script) as trace:
        trace.wait_attached().wait_stderr("ready\n")
        result = trace.stop_tracing()
    (victim,) = result.processes(cause="kill", term_signal="SIGKILL")
    (line,) = result.of_kind("observation", host_pid=victim["sender_host_pid"])
    shown = line["values"]["cmdline"]
    assert shown.startswith(f"sh -c {sender} sh ")
    assert "--password=***" in shown
    # Neither the secret nor the whole of a very long line.
    assert secret not in "".join(str(one) for one in result.of_kind("observation"))
    assert len(shown) <= 203
    assert f"It ran as: {shown}" in result.finding("ZT106")["detail"]
