"""No two files of the tracer import each other, however far around, not for types either."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def module_of(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(tree: ast.AST, modules: frozenset[str]) -> Iterator[str]:
    """Every file named by an import, wherever in the file: in functions, for types."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                yield inner if inner in modules else node.module


def import_graph(root: Path) -> dict[str, set[str]]:
    files = {module_of(path, root): path for path in (root / "tracer").rglob("*.py")}
    modules = frozenset(files)
    return {
        module: set(imports_of(ast.parse(path.read_text(encoding="utf-8")), modules)) & modules
        for module, path in files.items()
    }


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circle_in(import_graph(ROOT)) == []


@pytest.mark.parametrize(
    "text",
    [
        "import tracer.b",
        "from tracer import b",
        "from tracer.b import x",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from tracer.b import X",
        "def f():\n    from tracer.b import x",
    ],
)
def test_a_circle_is_found_whichever_way_it_is_closed(tmp_path: Path, text: str) -> None:
    (tmp_path / "tracer").mkdir()
    (tmp_path / "tracer" / "a.py").write_text(text)
    (tmp_path / "tracer" / "b.py").write_text("from tracer.c import y")
    (tmp_path / "tracer" / "c.py").write_text("from tracer.a import z")
    assert set(circle_in(import_graph(tmp_path))) == {"tracer.a", "tracer.b", "tracer.c"}
