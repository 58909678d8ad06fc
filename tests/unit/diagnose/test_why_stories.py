"""What `why` answers, word for word: one golden for each way to end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from tests.support.events import (
    BASH,
    BEGIN,
    INIT,
    KILL,
    MS,
    RUNC,
    SHIM,
    TERM,
    a_kernel_kill,
    a_notice,
    a_reap,
    a_seed,
    a_signal,
    a_teardown_kill,
    an_exec,
    an_exit,
    an_oom_mark,
    to_the_dead,
)
from tests.support.stream import stream, why
from tracer.model.events import Event
from tracer.model.signals import Disposition, SignalResult

T = BEGIN + 1_000
GONE = (a_notice(T + 10_050, INIT, SHIM), a_reap(T + 10_060, INIT, SHIM))
DROPPED: dict[str, Any] = {"result": SignalResult.IGNORED, "disposition": Disposition.DEFAULT}


def forwarded() -> list[Event]:
    """PID 1 passes SIGTERM on to two of three, waits for one, and exits."""
    return [
        a_seed(101), a_seed(102), a_seed(103), a_signal(T),
        a_signal(T + 1, 101, TERM, INIT), a_signal(T + 2, 102, TERM, INIT),
        an_exit(T + 20, 101, signo=TERM), a_notice(T + 20, 101), a_reap(T + 21, 101),
        an_exit(T + 50, INIT), a_teardown_kill(T + 51, 102), a_teardown_kill(T + 51, 103),
        an_exit(T + 52, 102, signo=KILL), an_exit(T + 53, 103, signo=KILL),
        a_reap(T + 54, 102), a_reap(T + 55, 103), *GONE,
    ]  # fmt: skip


def not_forwarded() -> list[Event]:
    """PID 1 handles SIGTERM and passes it on to none; one was a zombie before."""
    return [
        a_seed(101), a_seed(102), an_exit(T - 500, 102, code=3), a_notice(T - 500, 102),
        a_signal(T), an_exit(T + 50, INIT, code=7), a_teardown_kill(T + 51, 101),
        an_exit(T + 52, 101, signo=KILL), a_reap(T + 53, 101), a_reap(T + 54, 102), *GONE,
    ]  # fmt: skip


def dropped() -> list[Event]:
    """PID 1 has no handler: the grace period of 10 s passes."""
    return [
        a_seed(101), a_signal(T, **DROPPED), a_signal(T + 10_000, INIT, KILL),
        an_exit(T + 10_001, INIT, signo=KILL), a_teardown_kill(T + 10_002, 101),
        an_exit(T + 10_003, 101, signo=KILL), a_reap(T + 10_004, 101), *GONE,
    ]  # fmt: skip


def ignored() -> list[Event]:
    """PID 1 ignores SIGTERM and is still running when the trace ends."""
    return [a_seed(101), a_signal(T, **{**DROPPED, "disposition": Disposition.IGNORED})]


def blocked() -> list[Event]:
    """PID 1 waits for SIGTERM with sigwait, and exits."""
    return [a_signal(T, disposition=Disposition.BLOCKED), an_exit(T + 5, INIT), *GONE]


def by_itself() -> list[Event]:
    """PID 1 exits though nobody asked."""
    return [a_seed(101), an_exit(T, INIT, code=1), a_teardown_kill(T + 1, 101),
            an_exit(T + 2, 101, signo=KILL), a_reap(T + 3, 101), *GONE]  # fmt: skip


STOPS = {each.__name__: each for each in (
    forwarded, not_forwarded, dropped, ignored, blocked, by_itself)}  # fmt: skip


def killed() -> list[Event]:
    """A stranger on the host kills a worker, that had had a signal that did not kill."""
    return [
        a_seed(101), an_exec(T, 101, "server"), a_signal(T + 1, 101, 10, BASH),
        a_signal(T + 5, 101, KILL, BASH), an_exit(T + 6, 101, signo=KILL),
        a_notice(T + 7, 101), a_reap(T + 2_000, 101),
    ]  # fmt: skip


def out_of_memory() -> list[Event]:
    """The OOM killer takes a worker."""
    return [
        a_seed(101), a_seed(102), an_oom_mark(T, 101, by=102), a_kernel_kill(T, 101, 102),
        an_exit(T + 1, 101, signo=KILL), a_notice(T + 2, 101), a_reap(T + 3, 101),
    ]  # fmt: skip


def passed_on() -> list[Event]:
    """A shell exits with 137, as its child died of SIGKILL."""
    return [
        a_seed(101), a_seed(102, parent=101), a_signal(T, 102, KILL, BASH),
        an_exit(T + 1, 102, signo=KILL), a_notice(T + 2, 102, to=101), a_reap(T + 3, 102, by=101),
        an_exit(T + 10, 101, code=137), a_notice(T + 11, 101), a_reap(T + 12, 101),
    ]  # fmt: skip


def running() -> list[Event]:
    """A worker to which nothing happened."""
    return [a_seed(101)]


def unreaped() -> list[Event]:
    """A worker that is a zombie to the end, and was sent a signal as one."""
    return [a_seed(101), an_exit(T, 101, code=4), a_notice(T + 1, 101),
            replace(a_signal(T + 50, 101, KILL, RUNC), **to_the_dead())]  # fmt: skip


PROCESSES = {each.__name__: each for each in (
    killed, out_of_memory, passed_on, running, unreaped)}  # fmt: skip


def story(events: Iterable[Event], pid: int | None = None) -> str:
    answer = why(stream(*events), pid)
    lines = [answer.question, answer.answer]
    for step in answer.steps:
        at = "" if step.boot_ns is None else f"{step.boot_ns / MS - T:.1f}"
        lines.append(f"{at:>9}  {step.text}")
    lines.append(f"complete: {answer.complete}")
    lines += [f"{finding.code} {finding.title}" for finding in answer.findings]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", STOPS)
def test_why_a_container_stopped(check_golden: Callable[[str, str], None], name: str) -> None:
    check_golden(f"why/{name}.txt", story(STOPS[name]()))


@pytest.mark.parametrize("name", PROCESSES)
def test_why_a_process_ended(check_golden: Callable[[str, str], None], name: str) -> None:
    check_golden(f"why/{name}.txt", story(PROCESSES[name](), pid=101 - INIT + 1))
