"""Names that try to take over the terminal, the log or the JSON."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from tests.support.containers_at_work import start, tracing
from tests.support.dockerd import IMAGE, Dockerd
from tests.support.workloads import workload
from tests.support.zomtrace_process import Zomtrace, run_zomtrace, zomtrace_command

# The bytes of a name -> what may be shown of it.
NAMES = {
    b"\x1b]0;pwned\x07": r"\x1b]0;pwned\x07",
    b"\x1b[2J\x1b[31mred": r"\x1b[2J\x1b[31mred",
    b"\x9b31m\x90\x9d": r"\x9b31m\x90\x9d",
    b"a\nb\rc\td\x0be": r"a\nb\rc\td\x0be",
    b'"},{"kind":"x"': '"},{"kind":"x"',
    b"back\\slash": "back\\slash",
    b"\xff\xfe\xc3\x28\x80": r"\xff\xfe\xc3(\x80",
    "\u202eevil\u2066x".encode(): r"\u202eevil\u2066x",
    "zero\u200bwidth".encode(): r"zero\u200bwidth",
    # Cut in the middle of a character by the kernel's 15 bytes.
    "1234567890123\u65e5".encode()[:15]: r"1234567890123\xe6\x97",
    "日本語".encode(): "日本語",
    b"\x7f\x08\x08\x08": r"\x7f\x08\x08\x08",
    b" ": " ",
    b"%s%n{0}": "%s%n{0}",
}
PAYLOADS = (b"\x1b]0;", b"\x1b[2J\x1b[31mred", b"\x9b31m", b"\xe2\x80\xae", b"\x08\x08", b"\x07")


def command() -> list[str | Path]:
    return [workload("called"), *(name.hex() for name in NAMES)]


def test_names_in_json_are_escaped_text() -> None:
    with Zomtrace("run", "--grace", "9", "--", *command()) as trace:
        trace.wait_attached().wait_stderr("ready\n")
        result = trace.stop_tracing()
    result.stdout.decode("utf-8", "strict")
    init = result.process(is_init=True)["host_pid"]
    children = sorted(result.processes(parent_host_pid=init), key=lambda one: one["ns_pid"])
    assert [one["comm"] for one in children] == list(NAMES.values())
    for one in children:
        (died,) = result.of_kind("exit", host_pid=one["host_pid"])
        assert died["comm"] == one["comm"]
    # Findings and timeline hold names too; the contract's check looked at every string.
    assert result.codes == ["ZT102"]


def test_names_in_piped_text_are_escaped() -> None:
    with Zomtrace("run", "-v", "--grace", "9", "--", *command(), json_lines=False) as trace:
        trace.wait_stderr("ready\n")
        result = trace.stop_tracing()
    text = result.stdout.decode("utf-8", "strict")
    assert not [char for char in text if not char.isprintable() and char != "\n"]
    assert r"\x1b]0;pwned\x07" in text


def test_names_on_a_terminal_are_escaped() -> None:
    terminal, ours = pty.openpty()
    shown = bytearray()

    def read() -> None:
        while True:
            try:
                chunk = os.read(terminal, 65536)
            except OSError:
                return
            shown.extend(chunk)

    process = subprocess.Popen(
        [*zomtrace_command(), "run", "-v", "--stop-after", "0.5", "--grace", "9", "--", *command()],
        stdin=subprocess.DEVNULL, stdout=ours, stderr=subprocess.DEVNULL,
        env=os.environ | {"TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(ours)
    reader = threading.Thread(target=read)
    reader.start()
    assert process.wait(60) == 0
    reader.join(60)
    os.close(terminal)
    shown.decode("utf-8", "strict")
    for payload in PAYLOADS:
        assert payload not in shown, payload
    # What is left is the live view's own: colours, cursor, erasing.
    own = re.sub(rb"\x1b\[[?0-9;]*[A-Za-z]", b"", bytes(shown))
    assert b"\x1b" not in own
    assert b"pwned" in shown


@pytest.mark.parametrize("as_json", [True, False])
def test_the_command_itself_may_be_called_anything(tmp_path: Path, as_json: bool) -> None:
    hostile = tmp_path / "x\x1b]0;pwned\x07\nzomtrace: all is well"
    shutil.copy2(workload("family"), hostile)
    with Zomtrace(
        "run", "--stop-after", "0.2", "--grace", "0.2", "--", hostile, "0", "1", "exit",
        json_lines=as_json,
    ) as trace:  # fmt: skip
        result = trace.finish()
    everything = result.stdout.decode("utf-8", "strict")
    assert "\x1b" not in everything
    assert "\x07" not in everything
    assert "\nzomtrace: all" not in everything
    if as_json:
        assert result.report["containers"][0]["name"] == r"x\x1b]0;pwned\x07\nzomtrace: all is well"


@pytest.mark.parametrize(
    "args",
    [
        ["run", "--", "/no\x1b]0;pwned\x07\nzomtrace: fine"],
        ["--cgroup", "/no\x1b]0;pwned\x07\nzomtrace: fine"],
        ["--all", "--report", "/no\x1b]0;pwned\x07\nzomtrace: fine/x"],
        ["--pidns", "\x1b]0;pwned\x07"],
        ["--fail-on", "\x1b]0;pwned\x07", "--all"],
        ["-s", "\x1b]0;pwned\x07", "--all"],
        ["-d", "\x1b]0;pwned\x07", "--all"],
        ["\x1b]0;pwned\x07"],
        ["--\x1b]0;pwned\x07"],
        ["run", "--stop-signal", "\x1b]0;pwned\x07", "--", "true"],
    ],
    ids=lambda args: ascii(" ".join(args)),
)
def test_errors_repeat_no_control_characters(args: list[str]) -> None:
    result = run_zomtrace(*args, status=None, json_lines=False)
    assert result.status in (2, 69)
    assert "\x1b" not in result.stderr
    assert "\x07" not in result.stderr
    assert "\nzomtrace: fine" not in result.stderr


def test_hostile_command_lines_in_a_container(docker: Dockerd) -> None:
    script = "(exec sleep 0) & trap 'exit 0' TERM; echo ready; while :; do sleep 1 & wait $!; done"
    container = start(docker, IMAGE, "sh", "-c", script, "\x1b]0;pwned\x07\n", "\u202e")
    with tracing(docker, "-c", container) as trace:
        said = run_zomtrace("zombies", "-c", container, json_lines=False, env=docker.env)
        listed = run_zomtrace("zombies", "-c", container, json_lines=False, env=docker.env)
        docker.cli("stop", container)
        result = trace.finish()
    assert "\x1b" not in said.stdout.decode() + listed.stdout.decode()
    assert "\u202e" not in said.stdout.decode()
    assert result.stop["init_exit_code"] == 0


def test_report_file_is_utf_8_in_any_locale(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    env = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG"))}
    env |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with Zomtrace("run", "--report", report, "--grace", "9", "--", *command(), env=env) as trace:
        trace.wait_attached().wait_stderr("ready\n")
        result = trace.stop_tracing()
    written = json.loads(report.read_bytes().decode("utf-8", "strict"))
    assert written == result.report
    assert "日本語" in {one["comm"] for one in written["processes"]}
