"""docs/postmortem.md: every example of it gives what stands there.

``--update-golden`` writes the page anew, with its drawings; the screenshots then
need Chromium.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

import tracer
from tests.support.console_page import run_page

_DOCS = Path(__file__).parents[2] / "docs"
_PAGE = _DOCS / "postmortem.md"
_SESSION = _DOCS / "session"
_COUNTS = _DOCS / "img" / "counts.svg"


@pytest.mark.timeout(400)
def test_every_example_gives_what_the_page_says(
    tmp_path: Path, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(_SESSION, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    written = _PAGE.read_text(encoding="utf-8")
    with pd.option_context(
        "display.width", 88, "display.max_columns", None, "display.max_colwidth", 60
    ):
        page = run_page(written, tmp_path, {"__name__": "__main__"})
    if pytestconfig.getoption("--update-golden"):
        _PAGE.write_text(page, encoding="utf-8")
    assert page == _PAGE.read_text(encoding="utf-8")


def test_the_drawing_is_of_this_session(pytestconfig: pytest.Config) -> None:
    drawn = tracer.open_capture(_SESSION / "web.capture").plot_counts().content
    if pytestconfig.getoption("--update-golden"):
        _COUNTS.write_text(drawn + "\n", encoding="utf-8")
    assert drawn + "\n" == _COUNTS.read_text(encoding="utf-8")
