"""Zombies of our own making, as any user may look at them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from tests.support.waiting import wait_for
from tracer.model.events import SigchldAction
from tracer.model.wait_status import WaitStatus
from tracer.model.zombie_scan import ScannedZombie, ZombieBlame
from tracer.procfs import process, zombies
from tracer.procfs.clock import boot_now_ns
from tracer.procfs.process import read_status
from tracer.procfs.status import NS_PER_TICK
from tracer.procfs.time_share import TimeShare
from tracer.procfs.zombies import scan_zombies


@pytest.fixture
def make_zombie() -> Iterator[Callable[[int], int]]:
    """Fork a child that exits with a status, and reap it after the test."""
    pids = []

    def make(exit_code: int) -> int:
        pid = os.fork()
        if pid == 0:
            os._exit(exit_code)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        pids.append(pid)
        return pid

    yield make
    for pid in pids:
        os.waitpid(pid, 0)


def find(pid: int, *, settle_s: float = 0) -> ScannedZombie | None:
    scan = scan_zombies(settle_s=settle_s)
    return next((one for one in scan.zombies if one.host_pid == pid), None)


def test_a_zombie_is_reported_with_its_status_and_its_parent(
    make_zombie: Callable[[int], int],
) -> None:
    pid = make_zombie(7)
    zombie = find(pid)
    assert zombie is not None
    assert zombie.status == WaitStatus(7, None, core_dumped=False)
    assert zombie.blame is ZombieBlame.PARENT
    assert zombie.live_threads == ()
    assert zombie.parent is not None
    assert zombie.parent.host_pid == os.getpid()
    assert zombie.parent.sigchld is SigchldAction.DEFAULT
    assert zombie.parent.is_waiting is False
    assert zombie.parent.cmdline


def test_all_of_a_prime_number_of_zombies_are_reported(make_zombie: Callable[[int], int]) -> None:
    pids = {make_zombie(0) for _ in range(31)}
    assert pids == pids & {one.host_pid for one in scan_zombies(settle_s=0).zombies}


def test_its_age_is_bounded_from_both_sides(make_zombie: Callable[[int], int]) -> None:
    zombie = find(make_zombie(0), settle_s=0.05)
    assert zombie is not None
    assert zombie.zombie_at_least_ns >= 50_000_000
    # The process's age is cut to a tick.
    assert zombie.zombie_at_least_ns <= zombie.process_age_ns + 10_000_000


def test_one_that_was_given_the_pid_of_another_is_not_taken_for_it(
    make_zombie: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first look found may be reaped, and its pid given away, before the second."""
    pid = make_zombie(0)
    wait_for(lambda: boot_now_ns() > started_ns(pid) + 10 * NS_PER_TICK, "ten ticks to pass")
    monkeypatch.setattr(zombies, "_first_look", lambda: {pid: started_ns(pid) - NS_PER_TICK})
    assert find(pid, settle_s=0.01) is None
    monkeypatch.setattr(zombies, "_first_look", lambda: {pid: started_ns(pid) + NS_PER_TICK})
    found = find(pid, settle_s=0.01)
    assert found is not None
    assert found.zombie_at_least_ns >= 10_000_000
    # In the very tick of the look: whether it is the same is not known, so it is new.
    monkeypatch.setattr(zombies, "_first_look", lambda: {pid: started_ns(pid) + 1})
    found = find(pid, settle_s=0.01)
    assert found is not None
    assert found.zombie_at_least_ns >= 10_000_000


def started_ns(pid: int) -> int:
    status = read_status(pid)
    assert status is not None
    return status.start_boot_ns


def test_what_is_dead_is_read_without_another_thread(
    make_zombie: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of thousands of zombies it is most of the time; nothing can hold their locks."""
    pids = [make_zombie(0) for _ in range(199)]
    asked = []

    def count(question: Callable[[], object]) -> object:
        asked.append(question)
        return question()

    monkeypatch.setattr(process, "ask", count)
    found = {one.host_pid for one in scan_zombies(settle_s=0.01).zombies}
    assert found >= set(pids)
    # Their parent lives: it may make us wait. So may those of other zombies there are.
    assert 0 < len(asked) < 199


def test_cgroups_of_the_dead_that_take_long_are_read_by_another_thread(
    make_zombie: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who owns a cgroup can nest thousands in it, for every zombie to be looked up there."""
    directory = process.open_process(make_zombie(0))
    assert directory is not None
    asked = []

    def count(question: Callable[[], object]) -> object:
        asked.append(question)
        return question()

    monkeypatch.setattr(process, "ask", count)
    with directory:
        assert directory.read_zombie() is not None
        assert directory.read("cgroup")
        assert asked == []
        spent = TimeShare(ordinary_s=0.0, at_once_s=-1.0, share=0.0)
        monkeypatch.setattr(process.ProcDirectory, "_cgroup_share", spent)
        assert directory.read("cgroup")
    assert len(asked) == 1


def test_a_main_thread_that_died_alone_is_read_by_another_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another thread of it may be in the midst of an execve(2), for ever."""
    raw = b"Name:\tx\nState:\tZ (zombie)\nThreads:\t%d\nSigQ:\t0/1\n"
    asked = []

    def count(question: Callable[[], object]) -> object:
        asked.append(question)
        return question()

    monkeypatch.setattr(process, "ask", count)
    for threads, questions in ((2, 1), (0, 1), (11, 1), (1, 0)):
        asked.clear()
        directory = process.open_process(os.getpid())
        assert directory is not None
        with directory, monkeypatch.context() as patched:
            status = raw % threads
            patched.setattr(process.ProcDirectory, "_read_now", lambda *_, raw=status: raw)
            assert directory.read_zombie() == status
            assert directory.read("stat") == status
        assert len(asked) == questions


def test_after_a_single_look_nothing_is_claimed_about_its_age(
    make_zombie: Callable[[int], int],
) -> None:
    zombie = find(make_zombie(0))
    assert zombie is not None
    assert zombie.zombie_at_least_ns == 0


def test_a_running_process_is_no_zombie() -> None:
    assert find(os.getpid()) is None
    assert find(os.getppid()) is None


def test_a_parent_that_catches_or_ignores_sigchld_is_reported(
    make_zombie: Callable[[int], int],
) -> None:
    # Ignored after the death: the zombies that are there stay.
    pid = make_zombie(0)
    before = signal.getsignal(signal.SIGCHLD)
    try:
        for handler, action in (
            (signal.SIG_IGN, SigchldAction.IGNORED),
            (lambda *_: None, SigchldAction.CAUGHT),
        ):
            signal.signal(signal.SIGCHLD, handler)
            zombie = find(pid)
            assert zombie is not None
            assert zombie.parent is not None
            assert zombie.parent.sigchld is action
    finally:
        signal.signal(signal.SIGCHLD, before)
