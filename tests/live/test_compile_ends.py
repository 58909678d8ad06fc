"""The process that compiles, in trouble: what is said, with -v all that the compiler said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.confined import container
from tests.support.patched import CONFIG, ILLEGAL, Patched, patched_copy
from tests.support.require import require_program
from tests.support.zomtrace_process import Result, run_zomtrace, zomtrace_command

TRUE = ("--", "true")


@pytest.fixture
def copy(tmp_path: Path) -> Patched:
    """A copy of zomtrace to break."""
    return patched_copy(tmp_path / "copy")


def ended(result: Result, *, verbose: bool = False) -> list[str]:
    """The lines it ended with: two, and with -v those of the details."""
    assert result.stdout == b""
    first, hint, *details = result.stderr.splitlines()
    assert first.startswith("zomtrace: ")
    assert hint.startswith("  ")
    assert bool(details) == verbose, result.stderr
    assert all(line.startswith("  |") for line in details)
    return [first, hint, *details]


@pytest.mark.parametrize("verbose", [False, True])
def test_the_verifiers_log_is_shown_with_v(copy: Patched, verbose: bool) -> None:
    copy.replace("bpf/exit.c", CONFIG, CONFIG + ILLEGAL)
    options = ["-v"] if verbose else []
    result = run_zomtrace("run", *options, *TRUE, status=69, **copy.options())
    lines = ended(result, verbose=verbose)
    assert "zt_exit" in lines[0]
    assert "-v" in lines[1]
    said = "\n".join(lines[2:])
    # Registers and the count at the end are the verifier's own.
    assert ("R1" in said and "processed " in said) == verbose


@pytest.mark.parametrize("verbose", [False, True])
def test_the_compilers_words_are_shown_with_v(copy: Patched, verbose: bool) -> None:
    copy.replace("bpf/exit.c", CONFIG, CONFIG + "\tint wrong = no_such_thing;\n")
    options = ["-v"] if verbose else []
    result = run_zomtrace("run", *options, *TRUE, status=69, **copy.options())
    lines = ended(result, verbose=verbose)
    assert "exit.c:" in lines[0]
    said = "\n".join(lines[2:])
    assert ("^" in said and "1 error generated" in said) == verbose


def test_doctor_shows_them_too(copy: Patched) -> None:
    copy.replace("bpf/exit.c", CONFIG, CONFIG + ILLEGAL)
    options = {**copy.options(), "json_lines": False}
    plain = run_zomtrace("doctor", status=69, **options)
    assert "processed " not in plain.stderr
    result = run_zomtrace("doctor", "-v", status=69, **options)
    assert "  | processed " in result.stderr
    assert b"zt_exit" in result.stdout


@pytest.mark.parametrize(
    ("source", "status", "what"),
    [
        ("raise SystemExit(3)", 69, "do not compile: SystemExit: 3"),
        ("import os; os._exit(5)", 69, "exited with status 5"),
        ("import os; os.kill(os.getpid(), 9)", 69, "was killed by SIGKILL (out of memory?)"),
        ("import os; os.abort()", 69, "was killed by SIGABRT"),
        ("raise MemoryError", 69, "MemoryError"),
        ("import sys, os; os.write(int(sys.argv[1]), b'garbage'); os._exit(0)", 70,
         "an invalid answer"),
        ("import sys, os; os.write(int(sys.argv[1]), b'{}'); os._exit(0)", 70, "an invalid answer"),
        ("import sys, os; os.write(int(sys.argv[1]), b'[1]' * 99999); os._exit(0)", 70,
         "an invalid answer"),
    ],
)  # fmt: skip
def test_however_it_ends_it_is_said_in_a_line(
    copy: Patched, source: str, status: int, what: str
) -> None:
    # Where it would load BCC: the child imports that from Python's own places alone.
    copy.replace(
        "tracer/kernel/load_child.py", "    from bcc import BPF\n", f"    exec({source!r}, {{}})\n"
    )
    lines = ended(run_zomtrace("run", *TRUE, status=status, **copy.options()))
    assert what in lines[0]


def test_it_compiles_in_a_current_directory_that_was_removed(tmp_path: Path) -> None:
    script = 'mkdir "$0" && cd "$0" && rmdir "$0" && exec "$@"'
    run_zomtrace(
        "run", *TRUE,
        command=["sh", "-c", script, tmp_path / "gone", *zomtrace_command()],
        env={**os.environ, "ZOMTRACE_CACHE": ""},
    )  # fmt: skip


def test_no_home_and_no_place_for_temporary_files_is_needed(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "HOME"}
    env |= {"TMPDIR": str(tmp_path / "none"), "ZOMTRACE_CACHE": ""}
    run_zomtrace("run", *TRUE, env=env)


def test_nothing_need_be_writable() -> None:
    runc = require_program("runc", "runc")
    with container(runc, "CAP_BPF", "CAP_PERFMON", is_read_only=True) as prefix:
        result = run_zomtrace("--all", "-d", "0.2", command=prefix)
    assert result.lines[0]["kind"] == "attached"
