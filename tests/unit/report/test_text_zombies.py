"""The report's zombies: whose they were to reap, and how sure their age is."""

from __future__ import annotations

import pytest

from tests.support import report_stories as stories
from tests.support import reports as samples
from tests.support.reports import MS
from tracer.model.events import Precision
from tracer.report.text import render_report
from tracer.report.zombie_groups import format_age


def test_no_zombie_is_one_line() -> None:
    text = render_report(stories.nothing_happened())

    assert "ZOMBIES\n  None: no process remained a zombie for long.\n" in text


@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        (Precision.EXACT, "1.2 s .. 9.8 s"),
        (Precision.UPPER_BOUND, "<= 1.2 s .. 9.8 s"),
        (Precision.LOWER_BOUND, ">= 1.2 s .. 9.8 s"),
    ],
)
def test_a_duration_says_how_good_it_is(precision: Precision, expected: str) -> None:
    zombies = [
        samples.a_zombie(5000 + i, zombie_ns=ns, precision=precision)
        for i, ns in enumerate((9_800 * MS, 1_200 * MS, 3_000 * MS))
    ]

    assert format_age(zombies) == expected


def test_an_age_that_is_not_known_is_said_to_be() -> None:
    assert format_age([samples.a_zombie(5000, zombie_ns=None)]) == "age unknown"


def test_zombies_are_grouped_by_who_had_to_collect_them() -> None:
    text = render_report(stories.zombie_leak())

    assert "1000 in total, 999 left at the end" in text
    assert "to be reaped by zombie-proc[4711], PID 1\n" in text
    assert "997 x worker          >= 8.1 s .. 9.1 s    still a zombie at the end\n" in text
    assert "supervisor[6001]\n" in text
    assert "outside the container" in text
    assert "it cannot be reaped until" in text
