"""Questions that are not answered: given up, counted, and no end of patience with their kind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tracer.procfs import patience as patience_module
from tracer.procfs.patience import NoAnswerError, Patience, ask_for


@contextmanager
def unanswered() -> Iterator[threading.Event]:
    """Something to wait for that comes when it is left, and not before."""
    event = threading.Event()
    try:
        yield event
    finally:
        event.set()


def test_an_answer_is_handed_on_and_so_is_an_error() -> None:
    patience = Patience()
    assert patience.ask(lambda: 7) == 7
    with pytest.raises(FileNotFoundError, match="gone"):
        patience.ask(_raise_gone)


def _raise_gone() -> None:
    raise FileNotFoundError("gone")


def test_what_does_not_come_is_given_up() -> None:
    with unanswered() as event, pytest.raises(NoAnswerError):
        Patience(patience_s=0.01).ask(event.wait)


def test_all_goes_on_beside_what_does_not_come() -> None:
    patience = Patience(patience_s=0.01)
    with unanswered() as event:
        with pytest.raises(NoAnswerError):
            patience.ask(event.wait)
        assert [answered(patience, n) for n in range(5)] == list(range(5))


def answered(patience: Patience, value: int) -> int:
    """What it answers, however often a busy machine makes the answer come too late."""
    while True:
        try:
            return patience.ask(lambda: value)
        except NoAnswerError:
            continue


def test_so_many_may_wait_and_the_next_is_not_asked_at_all() -> None:
    patience = Patience(patience_s=0.01, most_askers=3)
    asked = []
    before = threading.active_count()
    with unanswered() as event:
        for _ in range(3):
            with pytest.raises(NoAnswerError):
                patience.ask(event.wait)
        with pytest.raises(NoAnswerError, match="too many"):
            patience.ask(lambda: asked.append(1))
        assert threading.active_count() == before + 3
    assert asked == []


def test_who_is_answered_late_is_of_use_again() -> None:
    patience = Patience(patience_s=0.01, most_askers=1)
    is_back = threading.Event()
    with unanswered() as event:

        def question() -> None:
            event.wait()
            is_back.set()

        with pytest.raises(NoAnswerError):
            patience.ask(question)
        with pytest.raises(NoAnswerError, match="too many"):
            patience.ask(lambda: 1)
    assert is_back.wait(60)
    assert answered(patience, 2) == 2


def test_a_question_within_a_question_needs_no_other_asker() -> None:
    patience = Patience(most_askers=1)
    assert patience.ask(lambda: patience.ask(lambda: 3)) == 3


def test_a_process_that_does_not_respond_uses_up_no_other_users_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience_module, "_by_owner", {None: Patience(patience_s=5)})
    with unanswered() as event:
        for _ in range(2):
            with pytest.raises(NoAnswerError, match="does not respond"):
                ask_for(54321, event.wait)
        with pytest.raises(NoAnswerError, match="too many"):
            ask_for(54321, lambda: 1)
        assert ask_for(None, lambda: 7) == 7
        assert ask_for(54322, lambda: 8) == 8
