"""With --show-commands=off no command line is kept; else engines' have their secrets masked."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.events import attached
from tests.support.readings import KEY, read_of
from tracer.containers import engine_events
from tracer.diagnose.evidence import command_of, say_command
from tracer.live.observers.engine import observe_engines
from tracer.live.observers.inits import InitEvidence
from tracer.live.observers.proc import _read_parent
from tracer.live.observers.sender import SenderEvidence
from tracer.live.watch import usual_observers
from tracer.live.zombies import scan
from tracer.model.identity import ProcessKey
from tracer.procfs.process import read_status
from tracer.report.zombies_table import zombies_page, zombies_to_json

SECRET = "correcthorse"
# A parent that never waits, with a secret among its arguments.
PARENT = (
    "import os, sys; os.fork() or os._exit(0); os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT);"
    " print(flush=True); sys.stdin.read()"
)


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, "--password", SECRET],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process


def zombies_of(parent: subprocess.Popen[str], *, show_commands: bool) -> tuple[str, dict[str, Any]]:
    found = scan((), show_commands=show_commands)
    objects = json.loads(json.dumps(zombies_to_json(found, 0)))["zombies"]
    (one,) = (each for each in objects if each["parent_host_pid"] == parent.pid)
    return zombies_page(found).plain(), one["parent"]


def test_a_zombies_parent_is_shown_without_its_secret(parent: subprocess.Popen[str]) -> None:
    text, shown = zombies_of(parent, show_commands=True)
    assert shown["cmdline"][-2:] == ["--password", "***"]
    assert SECRET not in text


def test_a_zombies_parent_is_shown_without_its_command(parent: subprocess.Popen[str]) -> None:
    text, shown = zombies_of(parent, show_commands=False)
    assert shown["cmdline"] is None
    assert shown["comm"]
    assert "--password" not in text


@pytest.mark.parametrize("show_commands", [True, False])
def test_a_reading_of_a_parent_has_a_command_only_if_asked_for(
    parent: subprocess.Popen[str], show_commands: bool
) -> None:
    status = read_status(parent.pid)
    assert status is not None
    key = ProcessKey(parent.pid, status.start_boot_ns)
    values = _read_parent(key, show_commands=show_commands)
    assert values is not None
    assert (values["cmdline"] is not None) is show_commands
    assert SECRET not in str(values)


def test_no_senders_or_inits_command_is_read() -> None:
    with_commands = {type(each) for each in usual_observers()}
    without = {type(each) for each in usual_observers(show_commands=False)}
    assert with_commands - without == {SenderEvidence, InitEvidence}


def test_no_command_is_no_word_of_a_finding() -> None:
    assert command_of(read_of(cmdline=None), KEY) is None
    assert say_command(read_of(cmdline=None), KEY) == ""


@pytest.mark.parametrize(
    ("action", "detail", "shown", "shown_without"),
    [
        ("exec_create", "mysql -pcorrecthorse shop", "mysql -p*** shop", None),
        ("exec_start", "/bin/sh -c redis-cli -a correcthorse", "/bin/sh -c redis-cli -a ***", None),
        ("health_status", "healthy", "healthy", "healthy"),
        ("kill", None, None, None),
    ],
)
def test_what_an_engine_was_asked_to_run_has_no_secret(
    monkeypatch: pytest.MonkeyPatch,
    action: str,
    detail: str | None,
    shown: str | None,
    shown_without: str | None,
) -> None:
    event = {"time_unix_ns": 7, "action": action, "detail": detail}
    monkeypatch.setattr(engine_events, "read_engine_events", lambda *_: ([event], []))
    (kept,) = observe_engines(attached())
    assert kept.values["detail"] == shown
    (kept,) = observe_engines(attached(), show_commands=False)
    assert kept.values["detail"] == shown_without


def test_of_a_long_command_line_no_more_is_read_than_is_looked_at() -> None:
    from tracer.procfs.process import read_cmdline

    with subprocess.Popen(
        ["sleep", "100", *["1" * 1000] * 100], stdin=subprocess.DEVNULL
    ) as process:
        try:
            # Empty for the instant of its exec.
            while not (words := read_cmdline(process.pid)) or words[0] != "sleep":
                pass
            assert 2048 <= len(" ".join(words)) <= 8192
        finally:
            process.kill()
