"""docs/postmortem.ipynb runs, every cell in order, and shows what it gives now.

No Jupyter is needed: a cell is run as a notebook would, and what it printed and
its last value are its outputs. ``--update-golden`` writes them into the file.
"""

from __future__ import annotations

import ast
import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

_DOCS = Path(__file__).parents[2] / "docs"
_NOTEBOOK = _DOCS / "postmortem.ipynb"
_MAX_HTML = 20_000


def _run_cell(source: str, names: dict[str, Any]) -> tuple[str, Any]:
    """Run a cell: what it printed, and the value of its last line if that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    value = None
    with redirect_stdout(io.StringIO()) as printed:
        exec(compile(tree, _NOTEBOOK.name, "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), _NOTEBOOK.name, "eval"), names)
    return printed.getvalue(), value


def _outputs(printed: str, value: Any, number: int) -> list[dict[str, Any]]:
    outputs: list[dict[str, Any]] = []
    if printed:
        outputs.append(
            {"name": "stdout", "output_type": "stream", "text": printed.splitlines(keepends=True)}
        )
    if value is not None:
        data = {"text/plain": repr(value).splitlines(keepends=True)}
        shown = value._repr_html_() if hasattr(value, "_repr_html_") else None
        # The whole page is too large to keep here, and few viewers show it.
        if shown is not None and len(shown) < _MAX_HTML:
            data["text/html"] = shown.splitlines(keepends=True)
        outputs.append(
            {
                "data": data,
                "execution_count": number,
                "metadata": {},
                "output_type": "execute_result",
            }
        )
    return outputs


def test_every_cell_runs_and_shows_what_the_notebook_says(
    monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    monkeypatch.chdir(_DOCS)
    notebook = json.loads(_NOTEBOOK.read_text(encoding="utf-8"))
    names: dict[str, Any] = {"__name__": "__main__"}
    number = 0
    with pd.option_context(
        "display.width", 110, "display.max_columns", None, "display.max_colwidth", 60
    ):
        for cell in notebook["cells"]:
            if cell["cell_type"] != "code":
                continue
            number += 1
            printed, value = _run_cell("".join(cell["source"]), names)
            outputs = _outputs(printed, value, number)
            if pytestconfig.getoption("--update-golden"):
                cell["execution_count"], cell["outputs"] = number, outputs
            assert cell["outputs"] == outputs, "".join(cell["source"])
    if pytestconfig.getoption("--update-golden"):
        _NOTEBOOK.write_text(json.dumps(notebook, indent=1) + "\n", encoding="utf-8")
    assert list(names["processes"]["comm"]).count("worker") == 4
    assert set(names["zombies"]["parent_comm"]) == {"indexer"}
    assert {finding.code for finding in names["report"].findings} == {"ZT101", "ZT103", "ZT201"}
