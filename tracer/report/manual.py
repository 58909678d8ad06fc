"""The page of a finding, from its text in docs/findings, laid out for a terminal.

The texts are Markdown of a plain kind: headings, paragraphs, lists, fenced code,
code and emphasis inside a line. Links keep their words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from tracer.errors import ZomtraceError
from tracer.model.verdicts import FINDING_KINDS
from tracer.report.page import DEFAULT_WIDTH, Page, Span, Style, column

_FENCE = "```"
_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")
_ITEM = re.compile(r"(?P<mark>[-*]|\d+\.) +(?P<text>.*)")
_CODE_INDENT = 4


def read_manual(code: str) -> str:
    """Read the text of one finding's page: in the wheel, else in the checkout.

    Raises:
        ZomtraceError: The installation is broken.
    """
    package = Path(__file__).resolve().parent.parent
    for directory in (package / "_docs", package.parent / "docs" / "findings"):
        path = directory / f"{code}.md"
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise ZomtraceError(
        f"the page for {code} is missing next to {package}", hint="reinstall zomtrace"
    )


def manual_page(text: str, *, width: int = DEFAULT_WIDTH) -> Page:
    """Lay a text out; code keeps the lines there is room for, everything else is wrapped."""
    page = Page(width)
    for kind, block in _blocks(text):
        if kind == "title":
            page.text(block, style=Style.STRONG)
        elif kind == "heading":
            page.heading(block)
        elif kind == "code":
            page.blank()
            _add_code(page, block.split("\n"))
        elif kind == "item":
            mark, _, words = block.partition(" ")
            page.entry((Span(f"  {mark} "),), _inline(words))
        else:
            page.blank()
            page.text(_inline(block))
    return page


def _add_code(page: Page, lines: Sequence[str]) -> None:
    """Write code as it is, further left where it is wide, and wrapped where it is wider."""
    room = page.width - max(map(len, lines))
    margin = min(_CODE_INDENT, max(room, 0))
    for line in lines:
        code = line.lstrip(" ")
        indent = margin + len(line) - len(code)
        if indent + len(code) <= page.width:
            page.add(Span(" " * indent), Span(code, Style.NAME))
        else:
            page.text(code, indent=min(indent, page.width // 6), style=Style.NAME)


def contents_page(*, width: int = DEFAULT_WIDTH) -> Page:
    """List the findings there are."""
    page = Page(width)
    for kind in FINDING_KINDS.values():
        page.entry(
            (Span(f"{kind.code}  ", Style.STRONG), column(kind.name, 24, Style.NAME), Span(" ")),
            kind.meaning,
        )
    return page


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    kind, gathered = "paragraph", list[str]()
    is_code = False
    for line in text.split("\n"):
        if line.startswith(_FENCE):
            if gathered or is_code:
                yield (
                    "code" if is_code else kind,
                    "\n".join(gathered) if is_code else " ".join(gathered),
                )
            is_code, gathered, kind = not is_code, [], "paragraph"
            continue
        if is_code:
            gathered.append(line)
            continue
        item = _ITEM.match(line)
        is_heading = line.startswith("#")
        if gathered and (not line.strip() or item is not None or is_heading):
            yield kind, " ".join(gathered)
            kind, gathered = "paragraph", []
        if is_heading:
            yield "title" if line.startswith("# ") else "heading", line.lstrip("# ")
        elif item is not None:
            kind, gathered = "item", [f"{item['mark']} {item['text']}"]
        elif line.strip():
            gathered.append(line.strip())
    if gathered:
        yield kind, " ".join(gathered)


def _inline(text: str) -> str:
    return _LINK.sub(r"\1", text).replace("**", "").replace("`", "")
