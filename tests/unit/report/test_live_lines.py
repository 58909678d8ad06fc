"""The live view in a pipe: which events get a line, and what it says."""

from __future__ import annotations

import io
import os

import pytest

from tests.support import annotated as samples
from tests.support.reports import BEGIN_NS, INIT_PID, MS, SECOND
from tracer.model.annotated import Annotated
from tracer.model.events import (
    DeliverEvent,
    ExecEvent,
    ForkFailedEvent,
    LossEvent,
    OomEvent,
    SignalInfo,
    TeardownEvent,
    TeardownPhase,
)
from tracer.model.signals import Disposition, SignalResult
from tracer.model.verdicts import Cause, ReapKind
from tracer.model.wait_status import WaitStatus
from tracer.report.live import LiveView

SIGUSR1 = 10
SIGURG = 23


def _piped(*events: Annotated, **changes: object) -> list[str]:
    stream = io.StringIO()
    options: dict[str, object] = {"signals": None, "color": False, **changes}
    view = LiveView(
        stream=stream,
        utc=True,
        is_terminal=False,
        utc_offset_ns=0,
        boot_clock=lambda: BEGIN_NS,
        **options,  # type: ignore[arg-type]
    )
    for event in (samples.attached(), *events):
        view.show(event)
    view.close()
    lines = stream.getvalue().splitlines()
    assert lines[-1] == ""
    return lines[1:-1]


def test_piped_there_is_one_line_an_event_and_no_escape_sequence() -> None:
    lines = _piped(
        samples.a_signal(),
        *(samples.a_death(5000 + i) for i in range(3)),
        samples.a_fork(6000),
    )

    assert lines == [
        (
            "10:46:48.001  signal    SIGTERM to fwd[4711] (PID 1) from runc[4801] <- "
            "containerd-shim <- systemd: it has a handler"
        ),
        *(
            f"10:46:48.000  killed    worker[{5000 + i}] died of SIGKILL: namespace "
            "teardown after PID 1 exited"
            for i in range(3)
        ),
    ]


def test_piped_every_line_is_flushed_at_once() -> None:
    class Pipe(io.StringIO):
        flushed = 0

        def flush(self) -> None:
            self.flushed += 1

    pipe = Pipe()
    view = LiveView(
        stream=pipe,
        utc=True,
        color=False,
        is_terminal=False,
        signals=None,
        utc_offset_ns=0,
        boot_clock=lambda: BEGIN_NS,
    )
    view.show(samples.a_death(5000))
    view.show(samples.a_death(5001))

    assert pipe.flushed == 2


def test_a_closed_pipe_is_reported_to_the_caller() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        view = LiveView(
            stream=stream,
            utc=True,
            color=False,
            is_terminal=False,
            signals=None,
            utc_offset_ns=0,
            boot_clock=lambda: BEGIN_NS,
        )
        with pytest.raises(BrokenPipeError):
            view.show(samples.a_death(5000))
        os.dup2(os.open(os.devnull, os.O_WRONLY), writer)


def _self_sent(signo: int) -> Annotated:
    return samples.a_signal(5000, signo=signo, actor_is_self=True, is_turning_point=False)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (samples.an_exit(), None),
        (samples.an_exit(status=WaitStatus(1, None, False)), None),
        (samples.an_exit(status=WaitStatus(137, None, False)), "worker[4712] exited with code 137"),
        (samples.an_exit(INIT_PID, "fwd"), "fwd[4711] (PID 1) exited with code 0"),
        (samples.an_exit(INIT_PID, "fwd", live_threads=1), None),
        (
            samples.an_exit(status=WaitStatus(None, 11, True), cause=Cause.FAULT),
            "worker[4712] died of SIGSEGV: it crashed (core dumped)",
        ),
        (samples.a_reap(), None),
        (
            samples.a_reap(zombie_ns=2 * SECOND),
            "worker[4712] reaped by its parent, fwd[4711]; a zombie for 2.0 s",
        ),
        (
            samples.a_reap(zombie_ns=2 * SECOND, kind=ReapKind.TEARDOWN),
            "worker[4712] reaped by namespace teardown; a zombie for 2.0 s",
        ),
        (samples.a_notice(), None),
        (_self_sent(SIGURG), None),
        (
            samples.a_signal(signo=SIGURG, is_turning_point=False),
            None,
        ),
        (
            samples.a_signal(5000, "worker", signo=SIGUSR1, cause=None, is_turning_point=False),
            (
                "SIGUSR1 to worker[5000] from runc[4801] <- containerd-shim <- systemd: it has a "
                "handler"
            ),
        ),
        (
            samples.a_signal(
                result=SignalResult.IGNORED,
                disposition=Disposition.DEFAULT,
            ),
            (
                "SIGTERM to fwd[4711] (PID 1) from runc[4801] <- containerd-shim <- systemd: "
                "dropped: PID 1 has no handler"
            ),
        ),
        (
            samples.a_signal(
                5000,
                "worker",
                signo=9,
                cause=Cause.PIDNS_TEARDOWN,
                sender_is_user=False,
                info=SignalInfo.KERNEL,
                target_live_threads=0,
                target_exit_state=32,
            ),
            (
                "SIGKILL to worker[5000], sent by the kernel when runc[4801] exited: it had "
                "already exited"
            ),
        ),
        (
            Annotated(OomEvent(BEGIN_NS, samples.a_process(), samples.an_actor(9, "greedy"))),
            "worker[4712] was chosen by the OOM killer; greedy[9] had requested memory",
        ),
        (
            Annotated(ForkFailedEvent(BEGIN_NS, samples.a_process(), -11)),
            "worker[4712] could not fork: EAGAIN",
        ),
        (
            Annotated(TeardownEvent(BEGIN_NS, samples.a_process(), TeardownPhase.BEGIN)),
            "worker[4712] exited: the kernel kills the remaining processes in its PID namespace",
        ),
        (Annotated(ExecEvent(BEGIN_NS, samples.a_process())), None),
        (
            Annotated(DeliverEvent(BEGIN_NS, samples.a_process(), 1, 15, 0, Disposition.CAUGHT)),
            None,
        ),
        (Annotated(LossEvent(BEGIN_NS, {})), None),
    ],
)
def test_what_gets_a_line_and_what_it_says(event: Annotated, expected: str | None) -> None:
    lines = [line[24:] for line in _piped(event)]

    assert lines == ([] if expected is None else [expected])


def test_verbose_gives_uneventful_events_their_lines() -> None:
    ordinary = (
        samples.a_fork(),
        Annotated(ExecEvent(BEGIN_NS, samples.a_process())),
        samples.an_exit(),
        samples.a_notice(),
        samples.a_reap(),
    )

    assert [line.split()[1] for line in _piped(*ordinary, verbose=True)] == [
        "fork",
        "exec",
        "exited",
        "signal",
        "reaped",
    ]


def test_a_signal_list_filters_signals_and_leaves_deaths() -> None:
    lines = _piped(
        samples.a_signal(),
        samples.a_signal(5000, signo=SIGUSR1),
        samples.a_notice(),
        samples.a_death(5001),
        signals=frozenset({SIGUSR1, 17}),
    )

    assert [line.split()[1:3] for line in lines] == [
        ["signal", "SIGUSR1"],
        ["signal", "SIGCHLD"],
        ["killed", "worker[5001]"],
    ]


def test_the_length_of_a_zombie_worth_a_line_can_be_chosen() -> None:
    assert _piped(samples.a_reap(zombie_ns=5 * MS), min_zombie_ns=5 * MS)
    assert not _piped(samples.a_reap(zombie_ns=5 * MS), min_zombie_ns=6 * MS)
