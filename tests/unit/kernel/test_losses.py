"""What counts as lost where a hook has a spare."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tracer.kernel.source import BpfSource
from tracer.wire.header import CONSTANTS


class MissedRuns:
    """A source in whose kernel nothing happens but that programs are not run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.misses: dict[str, int] = {}
        drops = SimpleNamespace(memory=bytes(8 * CONSTANTS["ZT_KIND_COUNT"]))
        loaded = SimpleNamespace(maps={"zt_drops": drops}, programs={}, close=lambda: None)
        monkeypatch.setattr(BpfSource, "_programs", lambda _: loaded)
        monkeypatch.setattr(BpfSource, "misses", lambda _: dict(self.misses))
        self.source = BpfSource(everything=False)

    def lost(self, **misses: int) -> dict[str, int]:
        """What is lost since the last time, with so many misses in all."""
        self.misses = misses
        return self.source.take_losses()


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> MissedRuns:
    return MissedRuns(monkeypatch)


def test_what_the_spare_saw_is_not_lost(kernel: MissedRuns) -> None:
    assert kernel.lost(exit=17, exit_spare=0, exec=3, exec_spare=0) == {}


def test_what_neither_was_run_for_is_lost_once(kernel: MissedRuns) -> None:
    assert kernel.lost(exit=17, exit_spare=2, exec=0, exec_spare=5) == {"exit": 2}
    assert kernel.lost(exit=31, exit_spare=2, exec=0, exec_spare=5) == {}
    assert kernel.lost(exit=31, exit_spare=3, exec=1, exec_spare=5) == {"exit": 1, "exec": 1}


def test_counters_read_one_after_the_other_lose_nothing_between_them(kernel: MissedRuns) -> None:
    # Both missed an exit while the two were being read.
    assert kernel.lost(exit=1, exit_spare=0) == {}
    assert kernel.lost(exit=1, exit_spare=1) == {"exit": 1}


def test_without_a_spare_every_miss_is_a_loss(kernel: MissedRuns) -> None:
    assert kernel.lost(exit=17, fork=1) == {"exit": 17, "fork": 1}


def test_a_release_that_is_reported_when_it_is_freed_is_not_lost(kernel: MissedRuns) -> None:
    assert kernel.lost(reap=3, free=0) == {}
    assert kernel.lost(reap=3, free=2) == {"reap": 2}


def test_without_kprobes_a_release_missed_is_lost(kernel: MissedRuns) -> None:
    assert kernel.lost(free=2) == {"free": 2}
