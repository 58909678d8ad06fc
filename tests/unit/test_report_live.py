"""The live view: what stays on the screen, what is only counted."""

from __future__ import annotations

import io
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit import event_samples as samples
from tests.unit.report_samples import BEGIN_NS, HOSTILE_NAMES, INIT_PID, MS, SECOND, WEB
from tracer.model.annotated import Annotated
from tracer.model.events import (
    DeliverEvent,
    ExecEvent,
    ForkFailedEvent,
    LossEvent,
    OomEvent,
    ProcessEvent,
    SigchldAction,
    SignalInfo,
    TeardownEvent,
    TeardownPhase,
)
from tracer.model.signals import Disposition, SignalResult
from tracer.model.target import KernelFilter, Target
from tracer.model.verdicts import Cause, ReapKind
from tracer.model.wait_status import WaitStatus
from tracer.report.live import LiveView
from tracer.report.live_counts import LiveCounts

_CONTROL = re.compile(r"\x1b\[(\d*)([A-Za-z])|\x1b\[[0-9;]*m|(\r)|(\n)|([^\x1b\r\n])")
SIGUSR1 = 10
SIGURG = 23


class Screen(io.StringIO):
    """A terminal without height: carriage return, line feed, up, erase."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[str] = [""]
        self.row = self.column = 0
        self.writes = 0
        self.written = ""

    def write(self, text: str) -> int:
        self.writes += 1
        self.written += text
        position = 0
        for match in _CONTROL.finditer(text):
            assert match.start() == position, f"unknown control in {text[position:]!r}"
            position = match.end()
            self._obey(match)
        assert position == len(text)
        return len(text)

    def _obey(self, match: re.Match[str]) -> None:
        number, letter, carriage_return, line_feed, char = match.groups()
        if carriage_return:
            self.column = 0
        elif line_feed:
            self.row += 1
            self.column = 0
            if self.row == len(self.rows):
                self.rows.append("")
        elif char:
            row = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = row[: self.column] + char + row[self.column + 1 :]
            self.column += 1
        elif letter == "A":
            self.row -= int(number)
            assert self.row >= 0
        elif letter == "K":
            self.rows[self.row] = self.rows[self.row][: self.column]
        elif letter == "J":
            self.rows[self.row] = self.rows[self.row][: self.column]
            del self.rows[self.row + 1 :]
        else:
            assert letter in (None, "m"), f"unknown control {match.group()!r}"

    @property
    def lines(self) -> list[str]:
        return [row.rstrip() for row in self.rows if row.strip()]


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now_ns = 10 * SECOND

    def __call__(self) -> int:
        return self.now_ns


class Watched:
    """A live view on a screen, with its clock."""

    def __init__(self, *, color: bool = False, **changes: object) -> None:
        self.screen = Screen()
        self.clock = Clock()
        options: dict[str, object] = {"is_terminal": True, "signals": None, **changes}
        self.view = LiveView(
            stream=self.screen,
            utc=True,
            color=color,
            utc_offset_ns=0,
            clock=self.clock,
            boot_clock=lambda: BEGIN_NS + self.clock.now_ns - 10 * SECOND,
            **options,  # type: ignore[arg-type]
        )
        self.view.show(samples.attached())

    def show(self, *events: Annotated) -> None:
        for event in events:
            self.view.show(event)

    def pass_time(self, duration_ns: int = 100 * MS) -> None:
        self.clock.now_ns += duration_ns
        self.view.tick()

    @property
    def kept(self) -> list[str]:
        """The lines above the status line, the first ("watching") left out."""
        return self.screen.lines[1:-1]

    @property
    def status(self) -> str:
        return self.screen.lines[-1]


def _piped(*events: Annotated, **changes: object) -> list[str]:
    stream = io.StringIO()
    options: dict[str, object] = {"signals": None, "color": False, **changes}
    view = LiveView(
        stream=stream,
        utc=True,
        is_terminal=False,
        utc_offset_ns=0,
        **options,  # type: ignore[arg-type]
    )
    for event in (samples.attached(), *events):
        view.show(event)
    view.close()
    lines = stream.getvalue().splitlines()
    assert lines[-1] == ""
    return lines[1:-1]


# On a terminal.


def test_ordinary_life_is_counted_and_gets_no_line() -> None:
    watched = Watched()
    for pid in range(5000, 5997):
        watched.show(samples.a_fork(pid))
        if pid >= 5010:
            watched.show(samples.an_exit(pid), samples.a_notification(), samples.a_reap(pid))
    watched.pass_time()

    assert watched.kept == []
    assert watched.status == "alive 10  ended 987  signals 0  lost 0  zombies 0"


def test_equal_lines_are_counted_although_signals_and_deaths_alternate() -> None:
    watched = Watched()
    watched.show(samples.a_signal(), samples.an_exit(INIT_PID, "fwd"))
    for pid in range(5000, 5997):
        watched.show(
            samples.a_teardown_kill(pid), samples.a_death(pid), samples.a_reap(pid, zombie_ns=1)
        )
    watched.pass_time()

    text = " ".join(line.strip() for line in watched.kept)
    assert re.split(r" ?10:46:48\.\d{3}  ", text)[1:] == [
        (
            "signal    SIGTERM to fwd[4711] (PID 1) from runc[4801] <- containerd-shim <- systemd: "
            "it has a handler"
        ),
        "ended     fwd[4711] (PID 1) ended with code 0",
        "signal    SIGKILL to 997 x worker, raised by the kernel as fwd[4711] ended",
        "killed    997 x worker died of SIGKILL: PID 1 had ended, its namespace was taken down",
    ]


def test_important_lines_stay_while_background_goes_on() -> None:
    watched = Watched()
    watched.show(samples.a_signal())
    for second in range(20):
        for pid in range(100):
            watched.show(samples.a_fork(second * 100 + pid), samples.an_exit(second * 100 + pid))
        watched.pass_time(SECOND)

    assert len(watched.kept) == 2
    assert "SIGTERM to fwd" in watched.kept[0]


def test_a_line_that_has_settled_is_not_counted_up_any_more() -> None:
    watched = Watched()
    watched.show(samples.a_death(5000))
    watched.pass_time(2 * SECOND)
    watched.show(samples.a_death(5001))
    watched.pass_time()

    assert [line.split()[2] for line in watched.kept if "died" in line] == [
        "worker[5000]",
        "worker[5001]",
    ]


def test_the_oldest_zombie_is_named_and_young_ones_are_not_counted() -> None:
    watched = Watched()
    watched.show(samples.an_exit(5000, at_ns=BEGIN_NS))
    watched.pass_time(4_200 * MS)
    watched.show(samples.an_exit(5001, at_ns=BEGIN_NS + 4_200 * MS))
    watched.pass_time(60 * MS)

    assert watched.status.endswith("zombies 1, oldest 4.3 s: worker[5000]")
    watched.show(samples.a_reap(5000))
    watched.pass_time(200 * MS)
    assert watched.status.endswith("zombies 1, oldest 260 ms: worker[5001]")


def test_who_is_told_of_late_is_counted_by_when_it_died() -> None:
    counts = LiveCounts()
    now_ns = BEGIN_NS + 10 * SECOND
    for pid in range(5000, 5005):
        counts.note(samples.an_exit(pid, at_ns=now_ns - 10 * MS))
    counts.note(samples.an_exit(6000, at_ns=now_ns - 1500 * MS))
    counts.note(samples.an_exit(6001, at_ns=now_ns - 1200 * MS))
    assert counts.status(now_ns).endswith("zombies 2, oldest 1.5 s: worker[6000]")


def test_what_was_there_before_is_counted() -> None:
    def process(pid: int, *, is_zombie: bool, live_threads: int) -> Annotated:
        return Annotated(
            ProcessEvent(
                BEGIN_NS,
                samples.a_snapshot(pid),
                is_zombie=is_zombie,
                live_threads=live_threads,
                status=None,
                own_sigchld=SigchldAction.DEFAULT,
                parent_sigchld=SigchldAction.DEFAULT,
                tracer_host_pid=None,
            )
        )

    watched = Watched()
    watched.show(
        process(5000, is_zombie=False, live_threads=1),
        process(5001, is_zombie=True, live_threads=0),
        process(5002, is_zombie=True, live_threads=2),
    )
    watched.pass_time()

    assert watched.status.startswith("alive 2  ended 0  signals 0  lost 0  zombies 1, ")


def test_nothing_is_written_while_nothing_changes() -> None:
    watched = Watched()
    watched.pass_time(2 * SECOND)
    writes = watched.screen.writes
    for _ in range(50):
        watched.pass_time()

    assert watched.screen.writes == writes


def test_zombies_of_many_lengths_are_one_line_with_their_range() -> None:
    watched = Watched()
    for number, length_ns in enumerate((5_900 * MS, 5_300 * MS, 6_000 * MS)):
        watched.show(samples.a_reap(5000 + number, zombie_ns=length_ns, kind=ReapKind.TEARDOWN))
    watched.pass_time()

    assert " ".join(" ".join(watched.kept).split()).endswith(
        "3 x worker cleared away after PID 1 had ended; a zombie for 5.3 s .. 6.0 s"
    )


def test_the_whole_screen_is_never_erased_from_its_first_cell() -> None:
    # tmux and others would keep what was erased so in their history.
    watched = Watched()
    for number in range(9):
        watched.show(samples.a_death(5000 + number, f"worker{number}"))
        watched.pass_time()
        watched.pass_time(2 * SECOND)
    watched.view.close()

    assert "\x1b[J" not in watched.screen.written


def test_a_low_terminal_keeps_what_it_repaints_on_the_screen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tracer.report.live.size_of", lambda _: os.terminal_size((40, 5)))
    watched = Watched()
    for number in range(20):
        watched.show(samples.a_death(5000 + number, f"worker{number % 4}"))
        watched.pass_time()
    ups = [int(up) for up in re.findall(r"\x1b\[(\d+)A", watched.screen.written)]

    assert max(ups) <= 3


def test_closing_leaves_the_important_lines_and_no_status() -> None:
    watched = Watched()
    watched.show(samples.a_death(5000))
    watched.view.close()
    watched.view.close()
    watched.pass_time(5 * SECOND)

    assert len(watched.screen.lines) == 3
    assert not any("alive" in line for line in watched.screen.lines)
    assert (watched.screen.rows[watched.screen.row], watched.screen.column) == ("", 0)


def test_losses_are_shown_and_counted() -> None:
    watched = Watched()
    watched.show(Annotated(LossEvent(BEGIN_NS, {"exit": 12, "fork": 0})))
    watched.pass_time()

    assert "LOST      12 exit events could not be taken in: there the picture" in watched.kept[0]
    watched.show(Annotated(LossEvent(BEGIN_NS + 10**9, {"exit": 1}, BEGIN_NS)))
    watched.pass_time()
    assert any("LOST      1 exit events of the last 1.0 s could" in line for line in watched.kept)
    assert "  lost 13  " in watched.status


@given(st.lists(st.sampled_from(HOSTILE_NAMES), min_size=1, max_size=12), st.booleans())
def test_hostile_names_move_no_cursor(names: list[str], color: bool) -> None:
    watched = Watched(color=color)
    for number, name in enumerate(names):
        watched.show(
            samples.a_signal(5000 + number, name, actor=samples.an_actor(comm=name, chain=(name,))),
            samples.an_exit(5000 + number, name),
        )
        watched.pass_time()
    watched.pass_time(SECOND)

    assert all(line.isprintable() for line in watched.screen.lines)
    assert watched.status.startswith("alive 0  ")


def test_colours_change_nothing_but_colours() -> None:
    plain, coloured = Watched(), Watched(color=True)
    for watched in (plain, coloured):
        watched.show(samples.a_signal(), samples.a_death(5000))
        watched.pass_time()

    assert plain.screen.lines == coloured.screen.lines


def test_several_containers_are_told_apart() -> None:
    target = Target("two containers", KernelFilter(), (WEB, WEB))
    watched = Watched()
    watched.show(samples.attached(target=target), samples.a_death(5000))
    watched.pass_time()

    assert any("web/worker[5000] died of SIGKILL" in line for line in watched.kept)


# Piped.


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
            f"10:46:48.000  killed    worker[{5000 + i}] died of SIGKILL: PID 1 had ended, its "
            "namespace was taken down"
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
        stream=pipe, utc=True, color=False, is_terminal=False, signals=None, utc_offset_ns=0
    )
    view.show(samples.a_death(5000))
    view.show(samples.a_death(5001))

    assert pipe.flushed == 2


def test_a_closed_pipe_is_reported_to_the_caller() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        view = LiveView(
            stream=stream, utc=True, color=False, is_terminal=False, signals=None, utc_offset_ns=0
        )
        with pytest.raises(BrokenPipeError):
            view.show(samples.a_death(5000))
        os.dup2(os.open(os.devnull, os.O_WRONLY), writer)


# What deserves a line.


def _self_sent(signo: int) -> Annotated:
    return samples.a_signal(5000, signo=signo, actor_is_self=True, is_turning_point=False)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (samples.an_exit(), None),
        (samples.an_exit(status=WaitStatus(1, None, False)), None),
        (samples.an_exit(status=WaitStatus(137, None, False)), "worker[4712] ended with code 137"),
        (samples.an_exit(INIT_PID, "fwd"), "fwd[4711] (PID 1) ended with code 0"),
        (samples.an_exit(INIT_PID, "fwd", live_threads=1), None),
        (
            samples.an_exit(status=WaitStatus(None, 11, True), cause=Cause.FAULT),
            "worker[4712] died of SIGSEGV: it crashed (core dumped)",
        ),
        (samples.a_reap(), None),
        (
            samples.a_reap(zombie_ns=2 * SECOND),
            "worker[4712] collected by its parent, fwd[4711]; a zombie for 2.0 s",
        ),
        (
            samples.a_reap(zombie_ns=2 * SECOND, kind=ReapKind.TEARDOWN),
            "worker[4712] cleared away after PID 1 had ended; a zombie for 2.0 s",
        ),
        (samples.a_notification(), None),
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
                "dropped, PID 1 has no handler for it"
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
                "SIGKILL to worker[5000], raised by the kernel as runc[4801] ended: it was dead "
                "already"
            ),
        ),
        (
            Annotated(OomEvent(BEGIN_NS, samples.a_snapshot(), samples.an_actor(9, "greedy"))),
            "worker[4712] was chosen by the out-of-memory killer; greedy[9] had asked for memory",
        ),
        (
            Annotated(ForkFailedEvent(BEGIN_NS, samples.a_snapshot(), -11)),
            "worker[4712] could not fork: EAGAIN",
        ),
        (
            Annotated(TeardownEvent(BEGIN_NS, samples.a_snapshot(), TeardownPhase.BEGIN)),
            "worker[4712] ended: the kernel kills what is left in its PID namespace",
        ),
        (Annotated(ExecEvent(BEGIN_NS, samples.a_snapshot())), None),
        (
            Annotated(DeliverEvent(BEGIN_NS, samples.a_snapshot(), 1, 15, 0, Disposition.CAUGHT)),
            None,
        ),
        (Annotated(LossEvent(BEGIN_NS, {})), None),
    ],
)
def test_what_gets_a_line_and_what_it_says(event: Annotated, expected: str | None) -> None:
    lines = [line[24:] for line in _piped(event)]

    assert lines == ([] if expected is None else [expected])


def test_verbose_gives_ordinary_events_their_lines() -> None:
    ordinary = (
        samples.a_fork(),
        Annotated(ExecEvent(BEGIN_NS, samples.a_snapshot())),
        samples.an_exit(),
        samples.a_notification(),
        samples.a_reap(),
    )

    assert [line.split()[1] for line in _piped(*ordinary, verbose=True)] == [
        "fork",
        "exec",
        "ended",
        "signal",
        "reaped",
    ]


def test_a_signal_list_filters_signals_and_leaves_deaths() -> None:
    lines = _piped(
        samples.a_signal(),
        samples.a_signal(5000, signo=SIGUSR1),
        samples.a_notification(),
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
