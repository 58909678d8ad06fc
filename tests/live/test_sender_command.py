"""The command line of who sent a fatal signal, without the secrets in it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.workloads import workload
from tests.support.zomtrace_process import Zomtrace, zomtrace_command

pytestmark = pytest.mark.live


def test_a_sender_outside_that_keeps_running_is_shown_without_its_secrets() -> None:
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
    assert f"Command line: {shown}" in result.finding("ZT106")["detail"]
    assert "hunter2" not in result.stdout.decode()
    assert result.process(is_init=True)["sender_host_pid"] == sender.pid


def test_no_command_line_is_kept_where_none_is_to_be_shown(tmp_path: Path) -> None:
    capture = tmp_path / "off.arrows"
    with Zomtrace(
        "run", "--show-commands=off", "-w", str(capture), "--", workload("lastly"), "sleeping"
    ) as trace:
        trace.wait_attached().wait_stderr("ready\n")
        init = trace.wait_event("exec", comm="lastly")["host_pid"]
        with subprocess.Popen(
            ["sh", "-c", f"kill -9 {init}; read _", "a-word-of-its-own"], stdin=subprocess.PIPE
        ) as sender:
            result = trace.finish()
            assert sender.stdin is not None
            sender.stdin.close()
    assert result.process(is_init=True)["sender_host_pid"] == sender.pid
    assert "It ran as" not in result.finding("ZT106")["detail"]
    assert not [line for line in result.of_kind("observation") if line["values"].get("cmdline")]
    assert "a-word-of-its-own" not in result.stdout.decode()
    kept = tmp_path / "off.jsonl"
    export = ["export", str(capture), "--format", "jsonl", "-O", str(kept)]
    subprocess.run([*zomtrace_command(), *export], check=True)
    assert init in [json.loads(line).get("host_pid") for line in kept.read_text().splitlines()]
    assert "a-word-of-its-own" not in kept.read_text()


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
    (shown,) = [
        line["values"]["cmdline"]
        for line in result.of_kind("observation", host_pid=victim["sender_host_pid"])
        if "cmdline" in line["values"]
    ]
    assert shown.startswith(f"sh -c {sender} sh ")
    assert "--password=***" in shown
    # Neither the secret nor the whole of a very long line.
    assert secret not in "".join(str(one) for one in result.of_kind("observation"))
    assert len(shown) <= 203
    assert f"Command line: {shown}" in result.finding("ZT106")["detail"]


def test_pid_1_is_named_by_its_command_line() -> None:
    command = ["sh", "-c", "sleep 0.3; exit", "--password=hunter2"]
    with Zomtrace("run", "--", *command) as trace:
        result = trace.finish()
    assert result.process(is_init=True)["command"] == "sh -c sleep 0.3; exit --password=***"
    assert "`sh -c sleep 0.3; exit --password=***` (PID 1)" in result.report["headline"]
    assert "hunter2" not in result.stdout.decode()
