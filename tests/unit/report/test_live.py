"""The live view on a terminal: what stays on the screen, what is only counted."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import annotated as samples
from tests.support.hostile_names import HOSTILE_NAMES
from tests.support.reports import BEGIN_NS, INIT_PID, MS, SECOND, WEB
from tests.support.screen import Watched
from tracer.model.annotated import Annotated
from tracer.model.events import LossEvent, ProcessEvent, SigchldAction
from tracer.model.target import KernelFilter, Target
from tracer.model.verdicts import ReapKind
from tracer.report.live_counts import LiveCounts


def test_uneventful_lifetime_is_counted_and_gets_no_line() -> None:
    watched = Watched()
    for pid in range(5000, 5997):
        watched.show(samples.a_fork(pid))
        if pid >= 5010:
            watched.show(samples.an_exit(pid), samples.a_notice(), samples.a_reap(pid))
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
        "exited    fwd[4711] (PID 1) exited with code 0",
        "signal    SIGKILL to 997 x worker, sent by the kernel when fwd[4711] exited",
        "killed    997 x worker died of SIGKILL: namespace teardown after PID 1 exited",
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


def test_who_is_reported_late_is_counted_by_when_it_died() -> None:
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
                samples.a_process(pid),
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
        "3 x worker reaped by namespace teardown; a zombie for 5.3 s .. 6.0 s"
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

    assert "LOST      12 exit events were lost; results for that period" in watched.kept[0]
    watched.show(Annotated(LossEvent(BEGIN_NS + 10**9, {"exit": 1}, BEGIN_NS)))
    watched.pass_time()
    assert any("LOST      1 exit event of the last 1.0 s was lost" in line for line in watched.kept)
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


def test_several_containers_are_distinguished() -> None:
    target = Target("two containers", KernelFilter(), (WEB, WEB))
    watched = Watched()
    watched.show(samples.attached(target=target), samples.a_death(5000))
    watched.pass_time()

    assert any("web/worker[5000] died of SIGKILL" in line for line in watched.kept)
