"""Times and durations as they are written."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.reports import BEGIN_NS, UTC_OFFSET_NS
from tracer.wording.names import seconds
from tracer.wording.times import (
    format_clock,
    format_date,
    format_duration,
    format_relative,
    format_rfc3339,
    format_zone,
)

NOON_NS = BEGIN_NS + UTC_OFFSET_NS + 123_456_789


@pytest.fixture
def kathmandu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A zone that is no whole number of hours away."""
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_an_instant_is_reported_to_the_nanosecond() -> None:
    assert format_rfc3339(NOON_NS) == "2026-11-22T10:46:48.123456789Z"


@pytest.mark.usefixtures("kathmandu")
def test_local_time_names_its_zone() -> None:
    assert format_clock(NOON_NS, utc=False) == "16:31:48.123"
    assert format_zone(NOON_NS, utc=False) == "UTC+05:45"
    assert format_clock(NOON_NS, utc=True) == "10:46:48.123"
    assert format_zone(NOON_NS, utc=True) == "UTC"


@pytest.mark.usefixtures("kathmandu")
def test_the_day_is_the_zones() -> None:
    late = NOON_NS + 9 * 3600 * 1_000_000_000

    assert (format_date(late, utc=True), format_date(late, utc=False)) == (
        "2026-11-22",
        "2026-11-23",
    )


@pytest.mark.parametrize(
    ("duration_ns", "expected"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1_000, "1.0 us"),
        (999_940, "1.0 ms"),
        (1_240_000, "1.2 ms"),
        (99_960_000, "100 ms"),
        (999_600_000, "1.0 s"),
        (10_004_000_000, "10.0 s"),
        (59_960_000_000, "1 min 00 s"),
        (200_000_000_000, "3 min 20 s"),
        (3_599_600_000_000, "1 h 00 min"),
        (86_399_000_000_000, "1 d 00 h"),
        (220_000_000_000_000, "2 d 13 h"),
        (-5_000_000, "-5.0 ms"),
    ],
)
def test_a_duration_has_the_digits_that_matter(duration_ns: int, expected: str) -> None:
    assert format_duration(duration_ns) == expected


@given(st.integers(min_value=0, max_value=10**18))
def test_a_duration_is_short(duration_ns: int) -> None:
    assert len(format_duration(duration_ns)) <= 12


@pytest.mark.parametrize(
    ("delta_ns", "expected"),
    [(0, "+0.000 s"), (10_004_000_000, "+10.004 s"), (-250_000_000, "-0.250 s"), (-1, "+0.000 s")],
)
def test_a_relative_time_is_signed(delta_ns: int, expected: str) -> None:
    assert format_relative(delta_ns) == expected


@pytest.mark.parametrize(
    ("duration_ns", "expected"),
    [
        (340_400, "340 us"),
        (999_700, "1 ms"),
        (12_400_000, "12 ms"),
        (999_400_000, "999 ms"),
        (999_700_000, "1.0 s"),
        (59_960_000_000, "1 min 00 s"),
        (65_000_000_000, "1 min 05 s"),
        (125_000_000_000, "2 min 05 s"),
        (7_500_000_000_000, "2 h 05 min"),
    ],
)
def test_a_sentence_shows_a_duration_as_a_table_does(duration_ns: int, expected: str) -> None:
    assert seconds(duration_ns) == expected
    if duration_ns >= 999_700_000:
        assert format_duration(duration_ns) == expected
