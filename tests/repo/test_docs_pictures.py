"""docs/img: the screenshots are of the page that the documented session gives today.

Each carries the checksum of the page it was taken of; ``--update-golden`` takes
them anew, for which it needs Chromium. Look at them then.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tracer
from tests.support.chromium import Chromium, find_chromium
from tests.support.require import require
from tracer.report.html import render_html

_DOCS = Path(__file__).parents[2] / "docs"
_SIZE = (1366, 768)
_KEY = b"zomtrace page\0"
_SIGNATURE_AND_HEADER = 8 + 25


@pytest.fixture(scope="module")
def page() -> str:
    """The page of the documented session."""
    cap = tracer.open_capture(_DOCS / "session" / "web.capture")
    return render_html(cap.report(), cap.annotated())


@pytest.fixture(scope="module")
def take(
    page: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], bytes] | None]:
    """Takes a screenshot; None without a browser."""
    program = find_chromium()
    if program is None:
        yield None
        return
    path = tmp_path_factory.mktemp("page") / "web.html"
    path.write_text(page, encoding="utf-8")
    with Chromium(program, tmp_path_factory.mktemp("profile")) as browser:

        def picture(name: str) -> bytes:
            browser.show(*_SIZE, dark="dark" in name)
            browser.call("Emulation.setScrollbarsHidden", hidden=True)
            browser.open(path)
            _SCENES[name](browser)
            assert browser.complaints == []
            return browser.screenshot()

        yield picture


def _as_it_opens(browser: Chromium) -> None:
    browser.settle()


def _moment_of_the_kill(browser: Chromium) -> None:
    for _ in range(4):
        browser.call(
            "Input.dispatchMouseEvent",
            type="mouseWheel", x=887, y=400, deltaX=0, deltaY=-200, modifiers=2,
        )  # fmt: skip
        browser.settle()
    browser.run("document.getElementById('lanes').focus()")
    browser.press(*["ArrowRight"] * 5)
    # Past the two senders and PID 1: the workers, of one fate.
    browser.press("ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown", "Enter")


_SCENES = {"page.png": _as_it_opens, "page-dark.png": _moment_of_the_kill}


def _mark(png: bytes, page: str) -> bytes:
    """Put the page's checksum into the picture, as text behind its header."""
    body = b"tEXt" + _KEY + _checksum(page)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:_SIGNATURE_AND_HEADER] + chunk + png[_SIGNATURE_AND_HEADER:]


def _checksum(page: str) -> bytes:
    return hashlib.sha256(page.encode()).hexdigest().encode()


@pytest.mark.parametrize("name", sorted(_SCENES))
def test_a_screenshot_is_of_the_page_of_today(
    name: str,
    page: str,
    take: Callable[[str], bytes] | None,
    pytestconfig: pytest.Config,
) -> None:
    path = _DOCS / "img" / name
    if pytestconfig.getoption("--update-golden"):
        require("chromium", take is not None, "there is no browser to take screenshots with")
        assert take is not None
        path.write_bytes(_mark(take(name), page))
    kept = path.read_bytes()
    assert kept.startswith(b"\x89PNG")
    assert _KEY + _checksum(page) in kept, "taken of another page: run with --update-golden"


def test_the_scenes_are_still_there(take: Callable[[str], bytes] | None) -> None:
    require("chromium", take is not None, "there is no such browser here")
    assert take is not None
    taken = {name: take(name) for name in _SCENES}
    assert len({len(png) for png in taken.values()}) == len(taken)
