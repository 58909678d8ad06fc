"""Nothing a process calls itself can reach a terminal raw."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.hostile_names import HOSTILE_NAMES
from tracer.report.escape import cell_width, clip, fit_encoding, safe_text

ANY_TEXT = st.text(
    st.characters(codec=None, categories=None) | st.sampled_from("\x1b\n\u202e\udcff")
)


def _is_harmless(char: str) -> bool:
    return char == " " or (
        char.isprintable() and unicodedata.category(char)[0] not in "CZ" and char != "\u3164"
    )


@given(ANY_TEXT | st.binary())
def test_safe_text_is_printable_and_encodable(value: str | bytes) -> None:
    safe = safe_text(value)

    assert all(_is_harmless(char) for char in safe)
    assert safe.encode("utf-8").decode("utf-8") == safe
    assert json.loads(json.dumps(safe, ensure_ascii=False)) == safe


@given(ANY_TEXT)
def test_safe_text_is_idempotent(text: str) -> None:
    assert safe_text(safe_text(text)) == safe_text(text)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_printable_ascii_stays_as_it_is(text: str) -> None:
    assert safe_text(text) == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x7f\x9b31m", "\\x7f\\x9b31m"),
        ("\u202egnp", "\\u202egnp"),
        ("\u2066a\u2069", "\\u2066a\\u2069"),
        ("a\u200bb\ufeffc", "a\\u200bb\\ufeffc"),
        ("a\u2028b", "a\\u2028b"),
        ("a\u00a0b\u3000c", "a\\xa0b\\u3000c"),
        ("\ufe0fa\U000e0001", "\\ufe0fa\\U000e0001"),
        ("\u3164x\u115f", "\\u3164x\\u115f"),
        ("\ud800", "\\ud800"),
        (b"ok\xff", "ok\\xff"),
        ("\udcff", "\\xff"),
        ("\u0301a", "\\u0301a"),
        ("e\u0301", "e\u0301"),
        ("e" + "\u0301" * 5, "e" + "\u0301" * 4 + "\\u0301"),
        ("日本 naïve ß 🐳", "日本 naïve ß 🐳"),
        ("back\\slash", "back\\slash"),
    ],
)
def test_what_is_escaped_and_what_stays(value: str | bytes, expected: str) -> None:
    assert safe_text(value) == expected


@given(ANY_TEXT, st.integers(min_value=0, max_value=40))
def test_clipped_text_fits(text: str, width: int) -> None:
    assert cell_width(clip(safe_text(text), width)) <= width


def test_wide_characters_count_twice_and_marks_not_at_all() -> None:
    assert cell_width("日本") == 4
    assert cell_width("e\u0301") == 1
    assert clip("日本語", 5) == "日.."


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", None])
@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_stream_of_any_encoding_can_write_it(name: str, encoding: str | None) -> None:
    fit_encoding(safe_text(name), encoding).encode(encoding or "utf-8")
