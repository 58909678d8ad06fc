"""tests/ is laid out as tracer/ is, and what tests share is in tests/support."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP = {"bench", "data", "fuzz", "kernel", "live", "model", "replay", "repo", "support", "unit",
       "workloads"}  # fmt: skip


def directories_in(path: Path) -> set[str]:
    return {
        each.name
        for each in path.iterdir()
        if each.is_dir() and not each.name.startswith(("_", "."))
    }


def imports_of_tests(path: Path) -> Iterator[str]:
    """Every test module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            modules = [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
        else:
            continue
        for module in modules:
            parts = module.split(".")
            if parts[0] == "tests" and any(part.startswith("test_") for part in parts[1:]):
                yield module


def test_every_directory_of_unit_tests_is_a_room_of_the_tracer() -> None:
    rooms = directories_in(ROOT / "tests/unit")
    assert len(rooms) > 10
    assert rooms <= directories_in(ROOT / "tracer")


def test_no_unit_test_is_outside_a_room() -> None:
    assert [path.name for path in (ROOT / "tests/unit").glob("test_*.py")] == []


def test_the_kinds_of_test_are_those_that_the_readme_lists() -> None:
    assert directories_in(ROOT / "tests") == TOP
    readme = (ROOT / "tests/README.md").read_text(encoding="utf-8")
    assert {name for name in TOP if f"`{name}/" not in readme} == set()


def test_no_test_file_imports_another() -> None:
    files = sorted((ROOT / "tests").rglob("*.py"))
    assert len(files) > 150
    found = {str(path.relative_to(ROOT)): list(imports_of_tests(path)) for path in files}
    assert {path: modules for path, modules in found.items() if modules} == {}


@pytest.mark.parametrize(
    "text",
    [
        "from tests.unit.report.test_live import Watched",
        "from tests.unit.report import test_live",
        "import tests.unit.report.test_live",
        "def f():\n    from tests.replay.test_why import why",
    ],
)
def test_an_import_of_a_test_file_is_found(tmp_path: Path, text: str) -> None:
    path = tmp_path / "test_x.py"
    path.write_text(text)
    assert list(imports_of_tests(path))
    path.write_text(text.replace("test_live", "screen").replace("test_why", "stream"))
    assert not list(imports_of_tests(path))
