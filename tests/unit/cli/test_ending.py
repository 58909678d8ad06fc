"""How a run ends when something goes wrong: a line, a status that is never 1, no traceback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CAPTURE = Path(__file__).parents[3] / "docs/session/web.capture"
ZOMTRACE = Path(sys.executable).with_name("zomtrace")

_BROKEN = """
import sys
from unittest import mock
from tracer.cli.entry import main
sys.argv[0] = "zomtrace"
def fail(*_, **__):
    {statement}
with mock.patch({target!r}, fail):
    main()
"""


def run(
    *command: str | Path, stdout: int = subprocess.PIPE, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, **(env or {})},
    )


def broken(
    statement: str, *arguments: str, target: str = "tracer.live.zombies.scan"
) -> subprocess.CompletedProcess[str]:
    """zomtrace with one of its functions replaced by a statement."""
    source = _BROKEN.format(statement=statement, target=target)
    return run(sys.executable, "-P", "-c", source, *(arguments or ("zombies",)))


def without_traceback(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert "Traceback" not in done.stderr, done.stderr
    assert "Exception ignored" not in done.stderr, done.stderr
    return done.stderr.splitlines()


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("{}['x']", "KeyError: 'x'"),
        ("raise RuntimeError", "RuntimeError"),
        ("raise Exception('\\x1b[2J\\nno')", r"Exception: \x1b[2J\nno"),
        ("fail()", "RecursionError: "),
        # What click and BCC do about errors of theirs.
        ("raise EOFError", "EOFError"),
        ("sys.exit(1)", "SystemExit: 1"),
        ("sys.exit(0)", "SystemExit: 0"),
        ("raise BrokenPipeError(32, 'Broken pipe')", "Broken"),
        ("import no_such_module", "ModuleNotFoundError: "),
    ],
)
def test_what_no_one_foresaw_is_70_and_two_lines(statement: str, what: str) -> None:
    done = broken(statement)
    lines = without_traceback(done)
    assert done.returncode == 70
    assert lines[-2].startswith("zomtrace: internal error: ")
    assert what in lines[-2] or what == "Broken"
    assert lines[-1].startswith("  ")
    assert done.stdout == ""


def test_the_traceback_is_shown_with_v() -> None:
    done = broken("error = KeyError('x'); error.add_note('as noted'); raise error", "zombies", "-v")
    assert done.returncode == 70
    lines = done.stderr.splitlines()
    place = r"\(tracer/cli/zombies\.py:\d+\)"
    assert re.fullmatch(f"zomtrace: internal error: KeyError: 'x' {place}", lines[0]), lines[0]
    assert "  | Traceback (most recent call last):" in lines
    assert lines[-1] == "  | as noted"


@pytest.mark.parametrize(
    "command",
    [
        ("report", str(CAPTURE)), ("why", str(CAPTURE)), ("explain",), ("zombies",),
        ("export", str(CAPTURE), "-f", "csv", "-O", "/proc/none"), ("doctor",), ("demo",),
        ("record", "--all", "-w", "/proc/none/x"), ("run", "--", "true"), ("stop", "-c", "x"),
    ],
)  # fmt: skip
def test_every_command_takes_v(command: tuple[str, ...]) -> None:
    # Before --help, for -v to be read.
    done = run(ZOMTRACE, command[0], "-v", "--help")
    assert done.returncode == 0, done.stderr
    assert "-v, --verbose" in done.stdout


@pytest.mark.parametrize("verbose", [True, False])
def test_a_refusals_notes_are_shown_with_v(verbose: bool) -> None:
    statement = (
        "from tracer.errors import UnavailableError as E; error = E('no', hint='try');"
        " error.add_note('what the compiler said\\nline 2'); raise error from OSError('the cause')"
    )
    done = broken(statement, "zombies", *(["-v"] if verbose else []))
    lines = without_traceback(done)
    assert done.returncode == 69
    details = [
        "  | what the compiler said", "  | line 2", "  | caused by OSError: the cause",
    ]  # fmt: skip
    assert lines == ["zomtrace: no", "  try", *(details if verbose else [])]


@pytest.mark.parametrize(
    ("statement", "status", "what"),
    [
        ("raise MemoryError", 69, "out of memory"),
        ("bytearray(1 << 62)", 69, "out of memory"),
        ("raise OSError(24, 'x')", 69, "Too many open files"),
        ("raise OSError(28, 'x', '/some/file')", 69, "/some/file: No space left on device"),
        ("raise BlockingIOError(11, 'x')", 69, "Resource temporarily unavailable"),
        ('raise RuntimeError("can\'t start new thread")', 69, "cannot start a thread"),
        ("raise PermissionError(13, 'x', '/etc/shadow')", 69, "/etc/shadow: Permission denied"),
        ("raise PermissionError(1, 'x')", 77, "Operation not permitted"),
        ("raise KeyboardInterrupt", 130, "interrupted"),
    ],
)
def test_what_any_host_can_refuse_is_reported_as_that(
    statement: str, status: int, what: str
) -> None:
    done = broken(statement)
    lines = without_traceback(done)
    assert done.returncode == status
    assert any(line.startswith("zomtrace: ") and what in line for line in lines), lines


def test_an_error_in_a_thread_is_reported_at_once_and_in_the_status() -> None:
    done = broken(
        "import threading; t = threading.Thread(target=lambda: {}['x'], name='worker');"
        " t.start(); t.join(); from tracer.errors import CheckFailedError as E; raise E('found')"
    )
    lines = without_traceback(done)
    assert done.returncode == 70
    assert lines[0].startswith("zomtrace: internal error: the thread worker failed: KeyError: 'x'")


def test_an_error_in_cleaning_up_is_reported_in_one_line() -> None:
    done = broken(
        "type('Odd', (), {'__del__': lambda _: {}['x']})();"
        " from tracer.errors import UsageError as E; raise E('no')"
    )
    lines = without_traceback(done)
    assert lines[0].startswith("zomtrace: internal error: during cleanup: KeyError: 'x'")
    assert done.returncode == 2


@pytest.mark.parametrize("library", ["click", "numpy", "rich"])
def test_a_broken_library_is_named(tmp_path: Path, library: str) -> None:
    (tmp_path / library).mkdir()
    (tmp_path / library / "__init__.py").write_text("raise ImportError('libodd.so is missing')\n")
    done = run(
        sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r});"
        "from tracer.cli.entry import main; sys.argv[0] = 'zomtrace';"
        # A terminal is what rich is for.
        "from tracer.report import terminal; terminal.Terminal.of = classmethod("
        "lambda *_, **__: terminal.Terminal(True, True, 80)); main()",
        "report", CAPTURE,
    )  # fmt: skip
    lines = without_traceback(done)
    assert done.returncode == 70
    assert lines[0] == "zomtrace: internal error: ImportError: libodd.so is missing"
    assert "install" in lines[1]


@pytest.mark.parametrize(
    "encoding", ["ascii", "ascii:strict", "latin-1:strict", "utf-16", "idna", "punycode"]
)
def test_any_encoding_of_the_streams_will_do(encoding: str) -> None:
    done = subprocess.run(
        [ZOMTRACE, "report", "n\u00f6"],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        stderr=subprocess.PIPE,
        check=False,
    )
    assert done.returncode == 69, done.stderr
    assert b"Traceback" not in done.stderr


def test_a_capture_in_a_directory_that_is_closed_to_us_is_77(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o000)
    tmp_path.chmod(0o755)
    command: list[str | Path] = [ZOMTRACE]
    if os.geteuid() == 0:
        for directory in (tmp_path.parent, tmp_path.parent.parent):
            directory.chmod(0o755)
        command = ["setpriv", "--reuid=4321", "--regid=4321", "--clear-groups", *command]
    for path in (closed / "x.arrows", closed):
        for name in ("report", "why"):
            done = run(*command, name, path)
            lines = without_traceback(done)
            assert done.returncode == 77
            assert lines[0].startswith(f"zomtrace: {path}: ")
