"""Thousands of histories of the model kernel: no report says anything untrue."""

from __future__ import annotations

import random

import pytest

from tests.model.history import Spoil, history
from tests.model.spoil import reordered, with_duplicates, with_losses
from tracer.model.events import Event

FLAVOURS = pytest.mark.parametrize("is_exact", [True, False], ids=["kprobes", "tracepoints"])


@FLAVOURS
def test_every_fate_is_told_as_it_was(histories: int, is_exact: bool) -> None:
    for seed in range(histories):
        assert history(seed).differences(is_exact=is_exact) == [], f"seed {seed}"


@FLAVOURS
def test_a_trace_that_begins_late_says_nothing_untrue(histories: int, is_exact: bool) -> None:
    for seed in range(100_000, 100_000 + histories // 2):
        model = history(seed, length=30, late=seed % 30)
        assert model.differences(is_exact=is_exact) == [], f"seed {seed}"


@pytest.mark.parametrize("is_bounded", [True, False], ids=["since", "any-time-before"])
@FLAVOURS
def test_losses_make_verdicts_unknown_and_never_untrue(
    histories: int, is_exact: bool, is_bounded: bool
) -> None:
    for seed in range(200_000, 200_000 + histories // 2):
        rng = random.Random(seed)
        share = rng.choice([0.02, 0.1, 0.3])

        def spoil(
            events: list[Event], rng: random.Random = rng, share: float = share
        ) -> list[Event]:
            return with_losses(events, rng, share, is_bounded=is_bounded)

        found = history(seed).differences(is_exact=is_exact, spoil=spoil, is_lossy=True)
        assert found == [], f"seed {seed}"


@pytest.mark.parametrize("spoil", [with_duplicates, reordered])
@FLAVOURS
def test_duplicates_and_swapped_neighbours_change_nothing(
    histories: int, is_exact: bool, spoil: object
) -> None:
    assert callable(spoil)
    for seed in range(300_000, 300_000 + histories // 4):
        rng = random.Random(seed)

        def apply(events: list[Event], rng: random.Random = rng) -> list[Event]:
            result: list[Event] = spoil(events, rng)
            return result

        chosen: Spoil = apply
        assert history(seed).differences(is_exact=is_exact, spoil=chosen) == [], f"seed {seed}"


def test_the_same_history_is_told_alike_with_and_without_kprobes(histories: int) -> None:
    for seed in range(400_000, 400_000 + histories // 4):
        model = history(seed)
        assert model.differences(is_exact=True) == model.differences(is_exact=False) == []
