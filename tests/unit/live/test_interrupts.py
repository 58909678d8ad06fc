"""SIGINT and SIGTERM outside a trace: the end, in order, by that very signal."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import pytest

from tracer.live.interrupts import EarlyEnd, Interrupts

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_BEGIN = """
import os, signal, sys
from tracer.live.interrupts import EarlyEnd, Interrupts
def interrupt():
    os.kill(os.getpid(), signal.{name})
"""


def run(signo: signal.Signals, body: str, **popen: Any) -> subprocess.CompletedProcess[str]:
    """Run a program that interrupts itself."""
    return subprocess.run(
        [sys.executable, "-c", _BEGIN.format(name=signo.name) + body],
        capture_output=True, text=True, timeout=60, check=False, **popen,
    )  # fmt: skip


@pytest.mark.parametrize("signo", _SIGNALS)
def test_the_first_ends_it_by_that_signal_after_what_was_begun_is_undone(
    signo: signal.Signals,
) -> None:
    done = run(
        signo,
        "with EarlyEnd():\n"
        "    try:\n"
        "        interrupt()\n"
        "        print('went on')\n"
        "    finally:\n"
        "        print('undone', flush=True)\n",
    )
    assert (done.returncode, done.stdout) == (-signo, "undone\n")
    assert done.stderr == f"zomtrace: terminated by {signo.name} before it had finished\n"


@pytest.mark.parametrize("signo", _SIGNALS)
def test_a_second_one_does_not_wait_for_the_undoing(signo: signal.Signals) -> None:
    done = run(
        signo,
        "with EarlyEnd():\n"
        "    try:\n"
        "        interrupt()\n"
        "    finally:\n"
        "        interrupt()\n"
        "        print('waited', flush=True)\n",
    )
    assert (done.returncode, done.stdout) == (-signo, "")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("signo", _SIGNALS)
def test_it_is_not_lost_where_python_lets_no_exception_out(signo: signal.Signals) -> None:
    done = run(
        signo,
        "class Leaves:\n"
        "    def __del__(self):\n"
        "        interrupt()\n"
        "        print('still here', flush=True)\n"
        "with EarlyEnd():\n"
        "    Leaves()\n"
        "    print('went on', flush=True)\n",
    )
    assert (done.returncode, done.stdout) == (-signo, "")
    assert "ignored" not in done.stderr


def test_who_is_not_to_be_interrupted_is_not() -> None:
    def ignore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    done = run(
        signal.SIGINT,
        "with EarlyEnd():\n    interrupt()\n    print('went on')\n",
        preexec_fn=ignore,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "went on\n", "")


@pytest.mark.parametrize("signo", _SIGNALS)
def test_who_is_started_with_them_blocked_hears_them_all_the_same(signo: signal.Signals) -> None:
    def block() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    done = run(signo, "with EarlyEnd():\n    interrupt()\n    print('went on')\n", preexec_fn=block)
    assert (done.returncode, done.stdout) == (-signo, "")


@pytest.mark.parametrize("signo", _SIGNALS)
def test_one_that_comes_as_the_report_is_written_does_not_cost_the_report(
    signo: signal.Signals,
) -> None:
    done = run(
        signo,
        "with EarlyEnd():\n"
        "    with Interrupts() as interrupts:\n"
        "        interrupts.begin()\n"
        "    interrupt()\n"
        "    print('report', flush=True)\n"
        "    try:\n"
        "        interrupt()\n"
        "    except KeyboardInterrupt:\n"
        "        print('twice')\n",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "report\ntwice\n", "")


@pytest.mark.parametrize("signo", _SIGNALS)
def test_a_trace_that_could_not_begin_leaves_them_as_they_were(signo: signal.Signals) -> None:
    done = run(
        signo,
        "with EarlyEnd():\n"
        "    try:\n"
        "        with Interrupts() as interrupts:\n"
        "            interrupts.begin()\n"
        "            raise ValueError\n"
        "    except ValueError:\n"
        "        interrupt()\n"
        "    print('went on')\n",
    )
    assert (done.returncode, done.stdout) == (-signo, "")


def test_what_was_there_before_is_there_again() -> None:
    before = [signal.getsignal(signo) for signo in _SIGNALS], sys.unraisablehook
    with EarlyEnd(), Interrupts():
        pass
    with Interrupts() as interrupts:
        interrupts.begin()
        assert signal.getsignal(signal.SIGINT) not in before[0]
    assert ([signal.getsignal(signo) for signo in _SIGNALS], sys.unraisablehook) == before
