"""Signals by name and number, as the field writes them."""

from __future__ import annotations

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.model.signals import SIGRTMAX, parse_signal, signal_name


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("9", 9),
        ("KILL", 9),
        ("sigkill", 9),
        (" SIGTERM ", 15),
        ("CLD", 17),
        ("CHLD", 17),
        ("IOT", 6),
        ("RTMIN", 34),
        ("SIGRTMIN+3", 37),
        ("RTMAX-1", 63),
        ("rtmax", 64),
        ("POLL", 29),
        ("STKFLT", 16),
    ],
)
def test_a_signal_can_be_written_in_every_usual_way(text: str, number: int) -> None:
    assert parse_signal(text) == number


@pytest.mark.parametrize(
    "text", ["", "0", "65", "-9", "NOPE", "RTMIN+31", "RTMAX-31", "RTMIN+x", "9.0"]
)
def test_what_is_no_signal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no signal"):
        parse_signal(text)


@given(st.integers(min_value=1, max_value=SIGRTMAX))
def test_every_name_reads_back_as_its_number(number: int) -> None:
    assert parse_signal(signal_name(number)) == number


def test_names_agree_with_pythons_where_it_has_one() -> None:
    for known in signal.Signals:
        if known.name not in ("SIGCLD", "SIGPOLL", "SIGIOT") and not known.name.startswith("SIGRT"):
            assert signal_name(known) == known.name
