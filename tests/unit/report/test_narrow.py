"""Forty columns are enough: nothing runs over a line, and no word is cut that has room on one."""

from __future__ import annotations

import os
import pty
import termios
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TextIO

import pytest
from click.testing import CliRunner

from tests.support import annotated
from tests.support import report_stories as stories
from tests.support.scans import a_doctor, every_blame, hostile_scan
from tests.support.screen import Watched
from tracer.cli.main import cli
from tracer.model.verdicts import FINDING_KINDS
from tracer.report import live
from tracer.report.doctor_table import doctor_page
from tracer.report.escape import cell_width
from tracer.report.manual import contents_page, manual_page, read_manual
from tracer.report.page import Page, wrap
from tracer.report.terminal import Terminal, fit_message
from tracer.report.text import report_page
from tracer.report.zombies_table import zombies_page

NARROW = 40
WIDE = 100
LONG = 28
"""A word longer than this may have no room behind what it belongs to."""
CAPTURE = Path(__file__).parents[3] / "docs" / "session" / "web.capture"

REPORTS = {
    "forwards nothing": stories.fwd_sig,
    "drops its signal": stories.dropped_sigterm,
    "leaks zombies": stories.zombie_leak,
    "killed": stories.docker_kill,
    "incomplete": stories.incomplete,
    "nothing": stories.nothing_happened,
}
PAGES: dict[str, Callable[..., Page]] = {
    **{name: partial(report_page, make(), utc=True) for name, make in REPORTS.items()},
    "zombies": partial(zombies_page, every_blame()),
    "doctor": partial(doctor_page, a_doctor()),
    "contents": contents_page,
    **{code: partial(manual_page, read_manual(code)) for code in FINDING_KINDS},
}


def lay_out(name: str, width: int) -> Page:
    return PAGES[name](width=width)


@pytest.mark.parametrize("name", PAGES)
def test_nothing_runs_over_a_line_of_forty_columns(name: str) -> None:
    lines = lay_out(name, NARROW).plain().splitlines()
    assert [line for line in lines if cell_width(line) > NARROW] == []


@pytest.mark.parametrize("name", PAGES)
def test_no_word_is_cut_that_has_room_on_a_line_of_forty_columns(name: str) -> None:
    wide = set(lay_out(name, WIDE).plain().split())
    cut = {word for word in lay_out(name, NARROW).plain().split() if word not in wide}
    whole = [word for word in wide if len(word) > LONG]
    # "start (PID 1): SIGKILL" is one line there and two columns here.
    cut = {word for word in cut if word.rstrip(":") not in wide}
    # The narrower the page, the less there is on its first screen.
    cut -= {"STOPS", "...", "more", "finding:", "findings:"}
    assert [word for word in cut if not any(word in one for one in whole)] == []


@pytest.mark.parametrize("name", PAGES)
def test_what_a_wide_page_says_a_narrow_one_says_too(name: str) -> None:
    said = "".join(lay_out(name, NARROW).plain().split())
    if name in REPORTS:
        # Its columns have no heads there, and sections no notes.
        for process in REPORTS[name]().processes:
            assert process.comm in said
    else:
        for word in lay_out(name, WIDE).plain().split():
            assert word in said or word in (
                "purpose,",
                "reduced",
                "precision",
                "source",
                "and",
                "of",
                "each",
            )


@pytest.mark.parametrize("width", [1, 2, 5, 10, 20, 30])
@pytest.mark.parametrize("name", PAGES)
def test_no_width_is_too_small(name: str, width: int) -> None:
    assert lay_out(name, width).plain()


@pytest.mark.parametrize("width", [20, 39, 40, 59])
def test_hostile_names_fit_a_narrow_page(width: int) -> None:
    for page in (
        report_page(stories.hostile(), width=width),
        zombies_page(hostile_scan(), width=width),
    ):
        assert all(line.isprintable() for line in page.plain().splitlines())


def test_a_word_too_long_is_cut_behind_a_sign_that_joins_its_parts() -> None:
    assert wrap("see /sys/kernel/btf/vmlinux", 16) == ["see", "/sys/kernel/btf/", "vmlinux"]
    assert wrap("a" * 20, 16) == ["a" * 16, "a" * 4]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[TextIO]:
    monkeypatch.delenv("COLUMNS", raising=False)
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb"), os.fdopen(theirs, "w") as stream:
        yield stream


@pytest.mark.parametrize(
    ("columns", "width"),
    [
        ("40", 40), ("72", 72), ("20", 20), ("10", 20), ("0", 80), ("-1", 80), ("wide", 80),
        ("", 80), ("1" * 5000, 80), ("500", 100), ("\u0664\u0660", 80),
    ],
)  # fmt: skip
def test_columns_of_the_environment_are_the_width(columns: str, width: int) -> None:
    with open(os.devnull, "w", encoding="utf-8") as stream:
        assert Terminal.of(stream, environ={"COLUMNS": columns}).width == width


def test_a_narrow_terminal_is_the_width(terminal: TextIO) -> None:
    termios.tcsetwinsize(terminal.fileno(), (24, 40))
    assert Terminal.of(terminal, environ={"TERM": "xterm"}).width == 40


def test_a_message_is_broken_between_words_on_a_terminal_alone(terminal: TextIO) -> None:
    termios.tcsetwinsize(terminal.fileno(), (24, 40))
    message = "no such container: web; there are db, cache and a-rather-long-name"
    rows = fit_message(message, terminal, indent=2).split("\n")
    assert len(rows) == 2
    assert all(len(row) <= NARROW and row.startswith("  ") for row in rows)
    assert " ".join(row.strip() for row in rows) == message
    with open(os.devnull, "w", encoding="utf-8") as stream:
        assert fit_message(f"{message}\x1b", stream) == f"{message}\\x1b"


def test_the_live_view_fits_forty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "size_of", lambda _: os.terminal_size((40, 24)))
    watched = Watched()
    watched.show(
        annotated.a_death(4712, "a-rather-long-n"),
        annotated.a_reap(4713, "日本語" * 5, zombie_ns=5_000_000_000),
    )
    watched.pass_time(2_000_000_000)
    assert [line for line in watched.screen.lines if cell_width(line) >= NARROW] == []
    assert "died of SIGKILL" in " ".join(" ".join(watched.screen.lines).split())


@pytest.mark.parametrize("columns", ["40", "20", "10", "0", "x"])
def test_a_report_is_printed_at_any_width(columns: str) -> None:
    result = CliRunner().invoke(cli, ["report", str(CAPTURE)], env={"COLUMNS": columns})
    assert result.exit_code == 0, result.output
    if columns == "40":
        assert max(map(len, result.output.splitlines())) <= 40
