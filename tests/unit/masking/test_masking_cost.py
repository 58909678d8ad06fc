"""However long and odd a command line is, masking it takes next to no time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracer.masking import command_walk, secret_text, shell_words
from tracer.masking.masking import mask_text, mask_words, show_command

MOST_COUNTS = 130_000
"""What 5 ms are worth on the machine where they were measured: see :func:`count_up`."""
LONGEST_WORD = 131_072
"""MAX_ARG_STRLEN."""
LONGEST_LINE = 2_097_152
"""What the kernel takes of arguments in all, with the usual stack."""

PIECES = st.sampled_from([
    "a", "pwd", "auth-", "?token", "x://", "://", "password=", "password='", '\\"password\\":',
    "'", '"', "\\", '"\\', "$(", "`", "&", "a=", "user=", "key=/etc/", "@", ":", "u:p@", "eyJ",
    "ghp_", "bot12345678", "-", "--", "-p", "A1b", "a1", "=", "{", "}", "(", ")", "auth(", "by '",
    "identified by", "bearer ", "PASSWORD FOR ", "\n", " ", "\t", "mysql ", "sh -c ", "sh -c '",
    "echo x|", "<<<", "/", "\xe9", "\u65e5", "\udcff", "\0", "docker run ", "sudo ", "-----BEGIN",
    "Authorization: ", "<password>",
    "%22token%22%3A", "tokenTokenTOKEN", "env A=", "-u a:b ", "***",
])  # fmt: skip
UNITS = st.lists(PIECES, min_size=1, max_size=4).map("".join) | st.text(min_size=1, max_size=9)


def repeated(unit: str, size: int) -> str:
    return (unit * (size // len(unit) + 1))[:size]


def count_up() -> None:
    """The work that 5 ms are measured by: plain steps of the interpreter."""
    counts: dict[int, int] = {}
    for number in range(MOST_COUNTS):
        counts[number & 255] = number


def takes_5_ms(act: Callable[[], object]) -> bool:
    """Whether something takes longer than counting, which a slow machine slows down too."""
    return all(once(act) >= once(count_up) for _ in range(20))


def once(act: Callable[[], object]) -> float:
    begun = time.process_time()
    act()
    return time.process_time() - begun


@settings(max_examples=300, deadline=None)
@given(UNITS, st.sampled_from([100, 1_000, 10_000, LONGEST_WORD]))
def test_a_word_of_any_length_takes_less_than_5_ms(unit: str, size: int) -> None:
    word = repeated(unit, size)
    for act in (
        lambda: mask_words(["x", word]),
        lambda: mask_words([word]),
        lambda: show_command(["sh", "-c", word]),
        lambda: mask_text(word),
    ):
        assert not takes_5_ms(act)


@settings(max_examples=150, deadline=None)
@given(UNITS, st.sampled_from([1, 10, 300, 5_000]))
def test_words_of_any_number_take_less_than_5_ms(unit: str, size: int) -> None:
    words = ["sh", "-c", *[repeated(unit, size)] * (LONGEST_LINE // 10 // size)]
    assert not takes_5_ms(lambda: mask_words(words))
    assert not takes_5_ms(lambda: show_command(words))


def steps(act: Callable[[], object]) -> int:
    """Count the lines that run in the modules that look at the text."""
    files = {command_walk.__file__, secret_text.__file__, shell_words.__file__}
    count = 0

    def trace(frame: FrameType, kind: str, argument: Any) -> Any:
        nonlocal count
        if frame.f_code.co_filename not in files:
            return None
        count += kind == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return count


@settings(max_examples=60, deadline=None)
@given(UNITS)
def test_twice_the_text_takes_twice_the_steps(unit: str) -> None:
    # Below the length at which it is cut: there nothing but the way it is done helps.
    half, whole = repeated(unit, 500), repeated(unit, 1_000)
    once, twice = steps(lambda: mask_text(half)), steps(lambda: mask_text(whole))
    assert twice <= 2.5 * once + 400


@pytest.mark.parametrize("unit", ["a", "pwd", "auth-", "?token", "'", "{:", "=%", "eyJ", "@:"])
def test_no_regular_expression_looks_at_a_character_time_and_again(unit: str) -> None:
    # What runs inside one is no line of ours: 32 times the text in 64 times the time at most.
    def look(size: int) -> float:
        text = repeated(unit, size)
        return cpu_of(lambda: secret_text.mask_word(f"x://{text}"))

    assert look(64_000) <= 64 * max(look(2_000), 0.0002)


def cpu_of(act: Callable[[], object]) -> float:
    return min(once(act) for _ in range(5))
