"""The guides for contributors name files that are there, and every room."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDES = ("CONTRIBUTING.md", "SECURITY.md", "docs/how-it-works.md", "tests/README.md")
_PATH = re.compile(r"`((?:tracer|bpf|tests|docs|scripts)/[\w./-]*)`")


@pytest.mark.parametrize("guide", GUIDES)
def test_every_file_a_guide_names_is_there(guide: str) -> None:
    text = (ROOT / guide).read_text(encoding="utf-8")
    named = {path for path in _PATH.findall(text) if "ZTnnn" not in path}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_the_rooms_are_described_on_the_floors_that_are_enforced() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    enforced = [set(layer.split(" | ")) for layer in layers if not layer.startswith("(")]
    floors: list[set[str]] = []
    for number, room in re.findall(
        r"^\| (\d?) ?\| `(\w+)` \|", (ROOT / "docs/how-it-works.md").read_text(), re.MULTILINE
    ):
        if number:
            floors.append(set())
        floors[-1].add(room)
    assert floors == enforced
