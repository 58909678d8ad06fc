"""docs/pandas.md: the tables of columns are those the columns are made from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tracer.tables.column import Column
from tracer.tables.columns import DATASET_COLUMNS, TABLES

DOC = Path(__file__).parents[2] / "docs" / "pandas.md"


def describe_table(columns: tuple[Column, ...]) -> str:
    """The columns as a Markdown table."""
    lines = ["| column | type | meaning | null |", "| --- | --- | --- | --- |"]
    for column in columns:
        values = ", ".join(f"`{value}`" for value in column.categories)
        if column.categories[:1] == ("SIGHUP",):
            values = "`SIGHUP` ... `SIGRTMIN+30`"
        meaning = f"{column.meaning}: {values}" if values else column.meaning
        lines.append(
            f"| `{column.name}` | `{column.type}` | {meaning} | {column.null or 'never'} |"
        )
    return "\n".join(lines) + "\n"


def test_the_documented_columns_are_the_columns(request: pytest.FixtureRequest) -> None:
    text = DOC.read_text(encoding="utf-8")

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        columns = DATASET_COLUMNS if name == "dataset" else TABLES[name]
        return f"<!-- columns: {name} -->\n{describe_table(columns)}<!-- end -->"

    wanted, number = re.subn(
        r"<!-- columns: (\w+) -->\n.*?<!-- end -->", fill, text, flags=re.DOTALL
    )
    assert number == len(TABLES) + 1
    if request.config.getoption("--update-golden"):
        DOC.write_text(wanted, encoding="utf-8")
    assert DOC.read_text(encoding="utf-8") == wanted
