"""Puts the tables into the pages, between their markers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.errors import BenchError
from benchmark.table import render_page, render_readme

CHECKOUT = Path(__file__).parents[2]
RESULTS_FILE = CHECKOUT / "build" / "bench.json"
SCHEMA = "zomtrace.bench/2"

_BEGIN, _END = "<!-- bench: begin -->", "<!-- bench: end -->"


def put_between_markers(page: Path, text: str) -> None:
    """Replace what stands between the markers of a page.

    Raises:
        BenchError: The page has no markers.
    """
    old = page.read_text(encoding="utf-8")
    before, begin, rest = old.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise BenchError(f"{page} has no {_BEGIN} and {_END} to write between")
    page.write_text(f"{before}{begin}\n\n{text}\n{end}{after}", encoding="utf-8")


def load_results(source: Path) -> Mapping[str, Any]:
    """Read what a run left.

    Raises:
        BenchError: There was no run, or one of another bench.
    """
    try:
        data: Mapping[str, Any] = json.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BenchError(f"{source} is not there", hint="run scripts/bench first") from None
    if data.get("schema") != SCHEMA:
        raise BenchError(f"{source} is of an older bench", hint="run scripts/bench again")
    return data


def write_pages(source: Path, checkout: Path = CHECKOUT) -> list[Path]:
    """Write docs/performance.md and README.md from a run's results.

    Returns:
        The pages.

    Raises:
        BenchError: There is no run, or it was not fit for a comparison.
    """
    data = load_results(source)
    if not data["comparable"]:
        raise BenchError(
            f"the run in {source} was too noisy to be quoted", hint="run it on a quiet machine"
        )
    pages = {
        checkout / "docs" / "performance.md": render_page(data),
        checkout / "README.md": render_readme(data),
    }
    for page, text in pages.items():
        put_between_markers(page, text)
    return list(pages)
