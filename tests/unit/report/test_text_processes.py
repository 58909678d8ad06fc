"""The report's processes: which share a row, in which order, and how each one's end is worded."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.support import report_stories as stories
from tests.support import reports as samples
from tracer.model.report import Folded, FoldedProcesses, ProcessReport
from tracer.model.verdicts import Cause, End, ExitCodeOrigin
from tracer.report.fate_groups import group_fates
from tracer.report.text import render_report


def test_equal_fates_are_one_row() -> None:
    fates = group_fates(stories.zombie_leak().processes)

    assert [len(fate.members) for fate in fates] == [1, 997]
    assert "  997 x worker " in render_report(stories.zombie_leak())


def test_the_same_name_with_another_cause_is_another_row() -> None:
    processes = (
        samples.killed(5000),
        samples.killed(5001, cause=Cause.OOM),
        samples.killed(5002),
    )

    assert sorted(len(fate.members) for fate in group_fates(processes)) == [1, 2]


def test_init_comes_first_then_the_killed_then_the_rest() -> None:
    fates = group_fates(
        (
            samples.a_process(5000, "running", end=End.RUNNING, exit_code=None),
            samples.a_process(5001, "fine"),
            samples.a_process(5002, "failed", exit_code=1),
            samples.killed(5003, "killed"),
            samples.an_init(),
        )
    )

    assert [fate.one.comm for fate in fates] == ["fwd", "killed", "failed", "fine", "running"]


def test_an_end_that_was_not_seen_is_not_guessed() -> None:
    lost = samples.a_process(
        5000, "maybe", end=None, exit_code=None, end_boot_ns=None, reap_kind=None,
        reaper_host_pid=None, reaper_comm=None, zombie_ns=None, complete=False,
    )  # fmt: skip
    gone = samples.a_process(5001, "maybe", end=None, exit_code=None, complete=False)
    text = " ".join(render_report(samples.a_report(processes=(lost, gone))).split())
    assert "1 x maybe unknown Whether it exited is unknown" in text
    assert "1 x maybe unknown It exited; its status is unknown" in text


def test_senders_that_differ_in_pid_alone_are_counted_and_not_reported_as_one() -> None:
    def shot(pid: int, sender_pid: int) -> ProcessReport:
        return samples.killed(pid, cause=Cause.KILL, sender_comm="kill", sender_host_pid=sender_pid)

    both = render_report(samples.a_report(processes=(shot(5000, 60), shot(5001, 61))))
    one = render_report(samples.a_report(processes=(shot(5000, 60), shot(5001, 60))))

    assert "sent by 2 processes, each called kill\n" in both
    assert "sent by kill[60]\n" in one


@pytest.mark.parametrize(
    ("exit_code", "origin", "expected"),
    [
        (137, ExitCodeOrigin.PASSED_ON, "137 = 128 + 9: it reported that host pid 77 had died of"),
        (143, ExitCodeOrigin.HANDLED_SIGNAL, "143 = 128 + 15: it handled SIGTERM and chose this"),
        (143, ExitCodeOrigin.UNKNOWN, "none of its children was seen dying of SIGTERM"),
        (143, None, "with code 143 = 128 + 15."),
        (1, None, "with code 1"),
        (255, None, "with code 255"),
        (128, None, "with code 128"),
    ],
)
def test_an_exit_code_of_128_and_a_signal_is_no_death_by_signal(
    exit_code: int, origin: ExitCodeOrigin | None, expected: str
) -> None:
    child = 77 if origin is ExitCodeOrigin.PASSED_ON else None
    process = samples.a_process(
        5000, "sh", exit_code=exit_code, exit_code_origin=origin, passed_on_host_pid=child
    )
    report = samples.a_report(processes=(process,))

    text = " ".join(render_report(report).split())
    assert f"exit {exit_code} It exited" in text
    assert expected in text


def test_deaths_of_one_row_that_lie_apart_say_how_far() -> None:
    def shot(pid: int, at_ms: int) -> ProcessReport:
        return samples.killed(pid, cause=Cause.KILL, end_boot_ns=at_ms * 1_000_000)

    apart = render_report(samples.a_report(processes=(shot(5000, 1000), shot(5001, 3000))))
    together = render_report(samples.a_report(processes=(shot(5000, 1000), shot(5001, 1900))))
    assert "the first died 2.0 s before the last" in apart
    assert "before the last" not in together


def test_a_kernels_signal_of_unknown_cause_says_in_whose_context() -> None:
    def text_of(trigger_host_pid: int | None) -> str:
        one = samples.killed(5000, cause=Cause.UNKNOWN, trigger_host_pid=trigger_host_pid,
                             trigger_comm="app")  # fmt: skip
        return " ".join(render_report(samples.a_report(processes=(one,))).split())

    assert "a BPF program (bpf_send_signal) or another kernel facility." in text_of(5000)
    assert "bpf_send_signal" not in text_of(60)
    assert "bpf_send_signal" not in text_of(None)


def test_many_names_that_ended_well_are_folded_and_no_death_is() -> None:
    report = samples.a_report(
        processes=(
            *(samples.a_process(5000 + i, f"job{i}") for i in range(53)),
            *(samples.killed(6000 + i, f"dead{i}") for i in range(31)),
        )
    )
    text = render_report(report)

    assert text.count(" x job") == 8
    assert "... and 45 more that exited with code 0 or are still running" in text
    assert text.count(" x dead") == 31


def test_what_is_counted_is_grouped_with_those_of_its_fate_and_never_with_pid_1() -> None:
    report = stories.zombie_leak()
    (init,) = [one for one in report.processes if one.is_init]
    more = FoldedProcesses(
        container_id=init.container_id, comm=init.comm, end=init.end, exit_code=init.exit_code,
        term_signal=init.term_signal, cause=init.cause, sender_comm=None, count=1_000_000,
        longest_zombie_ns=0, first_boot_ns=1, last_boot_ns=2, complete=True,
    )  # fmt: skip
    text = render_report(replace(report, folded=Folded(processes=(more,))))

    assert re.search(rf"^ +1 x {init.comm}", text, re.MULTILINE)
    assert re.search(rf"^1000000 x {init.comm}", text, re.MULTILINE)
    assert "counted only" in text
