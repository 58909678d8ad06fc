"""The page itself: one file, nothing fetched, nothing run but its own script."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from tracer.model.annotated import Annotated
from tracer.model.report import Report
from tracer.report.escape import safe_text
from tracer.report.findings import sort_findings
from tracer.report.html.data import page_data
from tracer.report.picture.picture import Limits, make_picture
from tracer.report.text import render_report
from tracer.wording.times import format_clock, format_date, format_duration

_LIMITS = Limits(lives=20_000, arrows=60_000)
_SCRIPTS = (
    "model.js", "rows.js", "scale.js", "paint.js", "arrows.js", "table.js", "inspector.js",
    "view.js", "pointer.js", "keys.js", "panels.js", "main.js",
)  # fmt: skip
_STYLE = "page.css"
_TEXT_WIDTH = 100


def render_html(report: Report, events: Iterable[Annotated]) -> str:
    """Write a report and its events as one self-contained page.

    Nothing in it is fetched, and its Content-Security-Policy lets nothing run
    but its own script, whatever a process or a container calls itself. Without
    script it still shows the headline, the findings and the report as text.

    Args:
        report: The conclusion of a trace.
        events: Every event of that trace, in order; read once.

    Returns:
        HTML, to be written as UTF-8.
    """
    picture = make_picture(report, events, _LIMITS)
    style = _asset(_STYLE)
    script = '"use strict";\n(() => {\n' + "\n".join(map(_asset, _SCRIPTS)) + "\n})();\n"
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return _PAGE.format(
        policy=html.escape(policy),
        title=_text(f"{report.target} - zomtrace"),
        style=style,
        target=_text(report.target),
        facts=_facts(report),
        headline=_text(report.headline),
        findings=_findings(report),
        plain=html.escape(render_report(report, width=_TEXT_WIDTH, utc=True)),
        data=_embed(page_data(picture)),
        script=script,
    )


def _asset(name: str) -> str:
    return files("tracer.report.html").joinpath("assets", name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _text(value: str) -> str:
    return html.escape(safe_text(value))


def _embed(data: dict[str, Any]) -> str:
    # Inside <script> only "</script" and "<!--" mean something: no "<" is left.
    plain = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return plain.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _facts(report: Report) -> str:
    begin_ns = report.begin_boot_ns + report.utc_offset_ns
    end_ns = report.end_boot_ns + report.utc_offset_ns
    last_day = format_date(end_ns, utc=True)
    until = format_clock(end_ns, utc=True)
    if last_day != format_date(begin_ns, utc=True):
        until = f"{last_day} {until}"
    facts = [
        f"{format_date(begin_ns, utc=True)} {format_clock(begin_ns, utc=True)} to {until} UTC",
        format_duration(end_ns - begin_ns),
        f"kernel {report.kernel}",
    ]
    items = "".join(f"<li>{_text(fact)}</li>" for fact in facts)
    if report.complete:
        return items + "<li>no events lost</li>"
    lost = ", ".join(f"{count} {kind}" for kind, count in sorted(report.lost.items()) if count)
    return items + f'<li class="gap">incomplete{_text(f": lost {lost}" if lost else "")}</li>'


def _findings(report: Report) -> str:
    if not report.findings:
        return '<p class="none">None: no known problem was detected.</p>'
    return "".join(
        f'<article class="finding {finding.severity.value}">'
        f'<h3><span class="code">{finding.severity.value} {_text(finding.code)}</span>'
        f"{_text(finding.title)}</h3>"
        + (f"<p>{_text(finding.detail)}</p>" if finding.detail else "")
        + (f'<p class="advice"><b>To do:</b> {_text(finding.advice)}</p>' if finding.advice else "")
        + (
            ""
            if finding.complete
            else '<p class="gap">Low confidence: some required events were not captured.</p>'
        )
        + "</article>"
        for finding in sort_findings(report.findings)
    )


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header>
<div class="top"><p class="brand">zomtrace <b>{target}</b></p><ul class="facts">{facts}</ul>
<button id="theme" type="button" hidden>Theme: auto</button></div>
<h1>{headline}</h1>
</header>
<noscript><p class="gap">The timeline and the tables need JavaScript; the text report is below.</p>
</noscript>
<main>
<section class="picture" id="picture" aria-label="Swim lanes" hidden>
<div class="toolbar" id="toolbar"></div>
<canvas id="overview" height="40" aria-hidden="true"></canvas>
<canvas id="ruler" height="88" aria-hidden="true"></canvas>
<div class="lanes" id="lanes" tabindex="0" role="listbox"
 aria-label="Processes. Up and down choose, Enter opens a group, left and right move in time,
 plus and minus zoom, n and p step through signals"><div id="spacer"><div id="stage">
<canvas id="plot" aria-hidden="true"></canvas><div id="labels"></div></div></div></div>
<ul class="legend" id="legend"></ul>
</section>
<aside>
<section id="selection" aria-live="polite" hidden></section>
<section><h2>Findings</h2>{findings}</section>
</aside>
<section class="tables" id="tables" hidden></section>
<details class="plain"><summary>Text report</summary><pre>{plain}</pre></details>
</main>
<div id="tip" role="presentation" hidden></div>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""
