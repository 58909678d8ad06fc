"""SIGINT and SIGTERM at any moment of any command: heard within a second, in one line."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE, wait_for
from tests.support.zomtrace_process import Zomtrace, run_zomtrace

pytestmark = [pytest.mark.root, pytest.mark.alone]

_MOMENTS_S = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
"""After signals are seen to. No wait for a state: any moment is one to be interrupted at."""
_ENDS_S = 5.0 * PATIENCE
"""One second is promised, on a machine that does nothing else."""
_ENDED = "zomtrace: terminated by {} before it had finished\n"
_IN_ORDER = frozenset({"run", "--all", "record"})
"""Those that go on until they are interrupted."""


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture of a short life."""
    path = tmp_path_factory.mktemp("capture") / "short.arrows"
    run_zomtrace("run", "-w", path, "--", "sleep", "0.1")
    return path


@pytest.fixture
def command(request: pytest.FixtureRequest, capture: Path, tmp_path: Path) -> list[str | Path]:
    """The arguments of a command by its name."""
    commands: dict[str, list[str | Path]] = {
        "--all": ["--all"],
        "-c": ["-c", "nothing-is-called-so"],
        "run": ["run", "--grace", "0.1", "--", "sleep", "1000"],
        "record": ["record", "--all", "-w", tmp_path / "all.arrows"],
        "report": ["report", capture],
        "why": ["why", capture, "--pid", "1"],
        "export": ["export", capture, "--format", "jsonl", "-O", tmp_path / "out"],
        "zombies": ["zombies"],
        "doctor": ["doctor"],
        "stop": ["stop", "-c", "nothing-is-called-so"],
        "demo": ["demo", "fwd-sig"],
    }
    return commands[request.param]


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "command",
    [
        "--all",
        "-c",
        "run",
        "record",
        "report",
        "why",
        "export",
        "zombies",
        "doctor",
        "stop",
        "demo",
    ],
    indirect=True,
)
def test_it_ends_at_once_by_the_signal_or_in_order_with_its_report(
    command: list[str | Path], signo: signal.Signals
) -> None:
    for moment_s in _MOMENTS_S:
        with Zomtrace(*command, json_lines=False) as run:
            wait_for(lambda run=run: _is_seen_to(run), "signals are seen to")  # type: ignore[misc]
            time.sleep(moment_s)
            # It may have ended by itself.
            is_over = run.process.poll() is not None
            result = run.interrupt(signo).finish(status=None, within_s=_ENDS_S)
        assert "Traceback" not in result.stderr, (moment_s, result.stderr)
        assert "ignored" not in result.stderr, (moment_s, result.stderr)
        if result.status == -signo:
            is_told = result.stderr.endswith(_ENDED.format(signo.name))
            # Or all was said, and the interpreter was on its way out.
            assert is_told or result.stdout or result.stderr, moment_s
        elif command[0] in _IN_ORDER:
            assert result.status == 0, (moment_s, result.stderr)
        else:
            # Just before its end, or as it wrote its report.
            assert is_over or result.status in (0, 2, 69), (moment_s, result.stderr)


def _is_seen_to(run: Zomtrace) -> bool:
    if run.process.poll() is not None:
        return True
    for line in Path(f"/proc/{run.process.pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) & 1 << (signal.SIGTERM - 1))
    return False
