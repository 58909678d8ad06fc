"""docs/findings: a page for every code, of one form, fit for a terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tracer.cli.explain import command
from tracer.errors import UsageError
from tracer.model.verdicts import FINDING_KINDS
from tracer.report.manual import contents_page, manual_page, read_manual

FOLDER = Path(__file__).parents[3] / "docs" / "findings"


def test_there_is_a_page_for_every_code_and_no_other() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.md")) == sorted(FINDING_KINDS)


@pytest.mark.parametrize("code", FINDING_KINDS)
def test_every_page_has_its_parts(code: str) -> None:
    text = read_manual(code)
    kind = FINDING_KINDS[code]
    assert text.startswith(f"# {code} {kind.name}: ")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[:3] == ["The kernel's reason", "See it", "Fix it"]
    # A command, and behind it what it really printed.
    command_block, output = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[:2]
    assert re.match(r"[$#] ", command_block)
    assert "zomtrace" in command_block
    assert f" {code} {kind.name}\n" in output
    assert "@@" not in text


@pytest.mark.parametrize("code", FINDING_KINDS)
def test_pages_name_only_codes_that_exist(code: str) -> None:
    assert set(re.findall(r"ZT\d{3}", read_manual(code))) <= FINDING_KINDS.keys()


@pytest.mark.parametrize("code", FINDING_KINDS)
def test_prose_stays_within_the_page(code: str) -> None:
    page = manual_page(read_manual(code), width=72)
    lines = page.plain().splitlines()
    # Code keeps its lines: cut in two it could not be copied.
    assert [line for line in lines if len(line) > 72 and not line.startswith("    ")] == []


def test_markdown_is_laid_out() -> None:
    text = (
        "# Title of it\n\nWords with `code`, **weight** and a\n[link](ZT101.md).\n\n## Part\n\n"
        "- one `x`\n- two\n  goes on\n\n```\n$ a  b\n  - c\n```\n"
    )
    assert manual_page(text, width=40).plain() == (
        "Title of it\n\nWords with code, weight and a link.\n\nPART\n  - one x\n  - two goes on\n\n"
        "    $ a  b\n      - c\n"
    )


def test_code_and_name_find_the_same_page() -> None:
    runner = CliRunner()
    by_code = runner.invoke(command, ["zt201"])
    assert by_code.exit_code == 0
    assert by_code.output == runner.invoke(command, ["zombie-leak"]).output
    assert by_code.output.startswith("ZT201 zombie-leak: ")


def test_without_a_code_all_are_listed() -> None:
    output = CliRunner().invoke(command, []).output
    assert output == contents_page().plain()
    assert all(kind.code in output and kind.name in output for kind in FINDING_KINDS.values())


def test_unknown_finding_is_a_usage_error() -> None:
    result = CliRunner().invoke(command, ["ZT999"])
    assert isinstance(result.exception, UsageError)
    assert "ZT999" in result.exception.message
