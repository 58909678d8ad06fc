"""stdin, stdout and stderr that are closed, full or not read: a status, a line, no traceback.

What was asked for besides stdout, a report's file or a capture, is there all the same.
"""

from __future__ import annotations

import json
import os
import pty
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.support.zomtrace_process import zomtrace_command
from tracer.replay.replay import Replay

CAPTURE = Path(__file__).parents[2] / "docs/session/web.capture"
COMMANDS = {
    "report": ("report", CAPTURE),
    "report --json": ("report", CAPTURE, "--json"),
    "why": ("why", CAPTURE),
    "why --json": ("why", CAPTURE, "--json"),
    "zombies": ("zombies",),
    "zombies --json": ("zombies", "--json"),
    "explain": ("explain",),
    "explain ZT101": ("explain", "ZT101"),
    "doctor": ("doctor",),
    "doctor --json": ("doctor", "--json"),
    "demo --list": ("demo", "--list"),
    "demo": ("demo", "zombie-leader"),
    "run": ("run", "--", "true"),
    "run --json": ("run", "--json", "--", "true"),
    "--all": ("--all", "-d", "0.2"),
    "--all --json": ("--all", "-d", "0.2", "--json"),
    "--help": ("--help",),
    "--version": ("--version",),
}


def run(
    args: tuple[str | Path, ...], redirection: str, **options: object
) -> subprocess.CompletedProcess[str]:
    """zomtrace by way of a shell, which can close descriptors."""
    command = shlex.join(str(arg) for arg in (*zomtrace_command(), *args))
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} {redirection}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        **options,  # type: ignore[call-overload]
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert "Exception ignored" not in done.stderr, done.stderr
    return done  # type: ignore[no-any-return]


def complaints(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stderr.splitlines() if line.startswith("zomtrace: stdout")]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("redirection", "complaint"),
    [(">/dev/full", "zomtrace: stdout: No space left on device"),
     (">&-", "zomtrace: stdout is closed")],
)  # fmt: skip
def test_a_stdout_that_takes_nothing_is_69(name: str, redirection: str, complaint: str) -> None:
    done = run(COMMANDS[name], redirection)
    assert done.returncode == 69
    assert complaints(done) == [complaint]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_reader_that_is_gone_is_no_error(name: str) -> None:
    done = run(COMMANDS[name], "| head -c 0")
    assert done.returncode == 0, done.stderr
    assert complaints(done) == []


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", "<&-"])
@pytest.mark.parametrize("name", ["report", "run", "--all --json", "doctor"])
def test_stderr_and_stdin_may_be_closed(name: str, redirection: str) -> None:
    done = run(COMMANDS[name], redirection)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_without_any_stream_the_status_is_left() -> None:
    assert run(("report", "/no/such/file"), "<&- >&- 2>&-").returncode == 69
    assert run(("--no-such-option",), "<&- >&- 2>&-").returncode == 2


def test_what_a_closed_stdout_was_meant_for_goes_into_no_file(tmp_path: Path) -> None:
    # The first file opened would have got its number.
    capture = tmp_path / "c.arrows"
    done = run(("run", "--json", "-w", capture, "--", "true"), ">&- 2>&- <&-")
    assert done.returncode == 69
    assert Replay(capture).conclude().processes


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", "| head -c 0"])
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_report_file_and_capture_are_made_though_stdout_fails(
    tmp_path: Path, redirection: str, form: tuple[str, ...]
) -> None:
    report, capture = tmp_path / "r.json", tmp_path / "c.arrows"
    done = run(
        ("run", *form, "--report", report, "-w", capture, "--", "true"), redirection
    )  # fmt: skip
    assert done.returncode == (0 if "head" in redirection else 69), done.stderr
    assert json.loads(report.read_text())["schema"] == "zomtrace.report/1"
    replay = Replay(capture)
    replay.conclude()
    # It has its end: nobody broke it off.
    assert replay.cuts == []


@pytest.mark.parametrize(
    "args",
    [("report", CAPTURE, "--report"), ("demo", "zombie-leader", "--report"),
     ("--all", "-d", "5", "--json", "--report")],
)  # fmt: skip
def test_report_file_is_written_by_every_command_that_can(
    tmp_path: Path, args: tuple[str | Path, ...]
) -> None:
    report = tmp_path / "r.json"
    assert run((*args, report), ">/dev/full").returncode == 69
    assert json.loads(report.read_text())["schema"] == "zomtrace.report/1"


def test_a_full_stdout_ends_the_trace_as_a_closed_one_does() -> None:
    # Without -d: nobody would ever press Ctrl-C.
    assert run(("--all", "--json"), ">/dev/full").returncode == 69


def test_a_found_check_holds_though_the_reader_is_gone() -> None:
    args = ("report", CAPTURE, "--fail-on", "all")
    assert run(args, "| head -c 0").returncode == 1
    # But 1 would say that everything else went well.
    assert run(args, ">/dev/full").returncode == 69


def test_a_terminal_that_is_gone_is_69() -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*zomtrace_command(), "--all"], stdout=theirs, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(theirs)
        assert process.stderr is not None
        assert "tracing" in process.stderr.readline()
        os.close(ours)
        try:
            status = process.wait(60)
        finally:
            process.kill()
        said = process.stderr.read()
    assert status == 69
    assert "zomtrace: stdout: Input/output error" in said
    assert "Traceback" not in said
