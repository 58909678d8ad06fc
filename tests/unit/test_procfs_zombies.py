"""Zombies of our own making, as any user may look at them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from tracer.kernel.zombies import scan_zombies
from tracer.model.events import SigchldAction
from tracer.model.wait_status import WaitStatus
from tracer.model.zombie_scan import ScannedZombie, ZombieBlame


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


def test_a_zombie_is_told_with_its_status_and_its_parent(
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


def test_all_of_a_prime_number_of_zombies_are_told(make_zombie: Callable[[int], int]) -> None:
    pids = {make_zombie(0) for _ in range(31)}
    assert pids == pids & {one.host_pid for one in scan_zombies(settle_s=0).zombies}


def test_its_age_is_bounded_from_both_sides(make_zombie: Callable[[int], int]) -> None:
    zombie = find(make_zombie(0), settle_s=0.05)
    assert zombie is not None
    assert zombie.zombie_at_least_ns >= 50_000_000
    # The process's age is cut to a tick.
    assert zombie.zombie_at_least_ns <= zombie.process_age_ns + 10_000_000


def test_after_a_single_look_nothing_is_claimed_about_its_age(
    make_zombie: Callable[[int], int],
) -> None:
    zombie = find(make_zombie(0))
    assert zombie is not None
    assert zombie.zombie_at_least_ns == 0


def test_a_process_that_lives_is_none() -> None:
    assert find(os.getpid()) is None
    assert find(os.getppid()) is None


def test_a_parent_that_catches_or_ignores_sigchld_is_told(
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
