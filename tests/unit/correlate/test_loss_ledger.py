"""Losses by kind and span: what may be missing between two instants."""

from __future__ import annotations

import pytest

from tracer.correlate import losses
from tracer.correlate.losses import LATE, LossLedger
from tracer.model.events import OVERRUN, LossEvent


def ledger(*spans: tuple[int | None, int], kind: str = "exit", count: int = 1) -> LossLedger:
    """Losses of one kind between instants; None = any time before."""
    made = LossLedger()
    for since_ns, until_ns in spans:
        made.add(LossEvent(until_ns, {kind: count}, since_ns))
    return made


@pytest.mark.parametrize(
    ("since_ns", "until_ns", "is_lost"),
    [
        (0, 99, False),
        (0, 100, True),
        (150, 160, True),
        (200, 300, True),
        (201, 300, False),
        (201, None, False),
        (0, None, True),
    ],
)
def test_a_loss_concerns_its_own_span_to_the_last_instant(
    since_ns: int, until_ns: int | None, is_lost: bool
) -> None:
    assert ledger((100, 200)).any_between(since_ns, until_ns) is is_lost


def test_losses_in_a_row_are_one_span_and_their_gap_is_none() -> None:
    # The second begins where the first ended, and reaches back; the third is apart.
    made = ledger((100, 200), (200, 250), (90, 120), (300, 310))
    assert [made.any_between(ns, ns) for ns in (89, 90, 250, 251, 299, 300, 310, 311)] == [
        False, True, True, False, False, True, True, False,
    ]  # fmt: skip
    assert made.totals == {"exit": 4}


def test_a_loss_of_which_the_beginning_is_unknown_reaches_back_to_the_first_instant() -> None:
    assert ledger((None, 200)).any_between(0, 1)


def test_nothing_lost_is_no_loss() -> None:
    made = ledger((100, 200), count=0)
    assert made.totals == {}
    assert not made.any_between(0, None)


@pytest.mark.parametrize("kind", [LATE, OVERRUN])
def test_records_of_any_kind_may_be_of_the_one_asked_for(kind: str) -> None:
    assert ledger((100, 200), kind=kind).kinds_between(0, None, {"signal"}) == (kind,)
    assert ledger((100, 200)).kinds_between(0, None, {"signal"}) == ()
    assert ledger((100, 200)).kinds_between(0, None, {"signal", "exit"}) == ("exit",)
    assert ledger((100, 200)).kinds_between(0, None) == ("exit",)


def test_what_a_source_never_gives_may_be_missing_at_any_time() -> None:
    made = LossLedger()
    assert not made.any_between(0, None, {"reap"})
    made.unseen = frozenset({"reap"})
    assert made.kinds_between(5, 6, {"reap", "exit"}) == ("reap",)
    assert not made.any_between(5, 6, {"exit"})
    assert made.any_between(5, 6)


def test_of_very_many_spans_the_oldest_become_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "_MOST_SPANS", 2)
    made = ledger((100, 110), (200, 210), (300, 310))
    # Too much is in doubt rather than too little.
    assert [made.any_between(ns, ns) for ns in (99, 150, 211, 299, 305)] == [
        False, True, False, False, True,
    ]  # fmt: skip
