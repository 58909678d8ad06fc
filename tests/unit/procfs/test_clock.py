"""The boot clock: one file reads it, whoever needs it is given it."""

from __future__ import annotations

import ast
from pathlib import Path

TRACER = Path(__file__).parents[3] / "tracer"


def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def test_one_file_reads_the_boot_clock() -> None:
    reading = {
        str(path.relative_to(TRACER))
        for path in TRACER.rglob("*.py")
        if names_in(path) & {"CLOCK_BOOTTIME", "CLOCK_BOOTTIME_ALARM"}
    }
    assert reading == {"procfs/clock.py"}
