"""Exit codes of 128 and a signal: passed on from a child, chosen in a handler, or its own."""

from __future__ import annotations

from typing import Any

from tests.support.events import (
    BASH,
    BEGIN,
    KILL,
    TERM,
    a_fork,
    a_process,
    a_reap,
    a_seed,
    a_signal,
    an_exit,
    process,
    report_of,
)
from tracer.model.verdicts import End, ExitCodeOrigin

T = BEGIN + 1000


def test_exit_code_137_is_no_death_by_signal_and_its_childs_is_named() -> None:
    report = report_of(
        a_seed(101, process=a_process(101, comm="sh")),
        a_fork(T - 9, 102, parent=101, start_boot_ns=(T - 9) * 1_000_000),
        a_signal(T, 102, KILL, BASH, subject={"start_boot_ns": (T - 9) * 1_000_000, "parent": 101}),
        an_exit(T + 1, 102, signo=KILL, start_boot_ns=(T - 9) * 1_000_000, parent=101),
        a_reap(T + 2, 102, by=101, start_boot_ns=(T - 9) * 1_000_000, parent=101),
        an_exit(T + 3, 101, code=137, comm="sh"),
    )
    one = process(report, 101)
    assert (one.end, one.exit_code, one.term_signal, one.cause) == (End.EXIT, 137, None, None)
    assert one.passed_on_host_pid == 102
    assert any(
        entry.text == "sh (pid 2, host 101) exited with code 137 (128 + 9: worker (pid 3,"
        " host 102) died of SIGKILL)"
        for entry in report.timeline
    )


def test_exit_code_of_a_child_that_was_not_waited_for_is_not_passed_on() -> None:
    born: dict[str, Any] = {"start_boot_ns": (T - 9) * 1_000_000, "parent": 101}
    report = report_of(
        a_seed(101),
        a_fork(T - 9, 102, parent=101, start_boot_ns=(T - 9) * 1_000_000),
        a_signal(T, 102, KILL, BASH, subject=born),
        an_exit(T + 1, 102, signo=KILL, **born),
        an_exit(T + 3, 101, code=137),
    )
    assert process(report, 101).passed_on_host_pid is None


def test_exit_code_143_of_its_own_names_no_process() -> None:
    one = process(report_of(a_seed(101), an_exit(T, 101, code=143)), 101)
    assert (one.passed_on_host_pid, one.exit_code_origin) == (None, ExitCodeOrigin.UNKNOWN)


def test_exit_code_143_after_a_handled_sigterm_is_its_own_choice() -> None:
    events = a_seed(101), a_signal(T, 101, TERM, BASH), an_exit(T + 1, 101, code=143)
    one = process(report_of(*events), 101)
    assert (one.passed_on_host_pid, one.exit_code_origin) == (None, ExitCodeOrigin.HANDLED_SIGNAL)
    other = process(report_of(*events[:2], an_exit(T + 1, 101, code=137)), 101)
    assert other.exit_code_origin is not ExitCodeOrigin.HANDLED_SIGNAL
