"""Reads a capture in every way there is."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from pathlib import Path

from tracer.cli.capture import open_replay
from tracer.errors import UsageError
from tracer.replay import replay, why
from tracer.report.html import render_html
from tracer.report.jsonlines import render_line
from tracer.report.jsonreport import render_report_file
from tracer.report.perfetto import render_perfetto
from tracer.report.text import write_report
from tracer.report.why_text import why_page, why_to_json
from tracer.tables.capture import Capture


def look(path_text: str) -> None:
    """Whatever a command makes of a capture."""
    path = Path(path_text)
    capture = Capture(path)
    report = capture.report()
    utc_offset_ns = capture.utc_offset_ns
    write_report(report, io.StringIO(), utc=False, no_color=True)
    render_report_file(report).encode()
    for annotated in capture.annotated():
        (render_line(annotated, utc_offset_ns) or "").encode()
    for _ in capture.all_batches():
        pass
    render_html(report, capture.annotated()).encode()
    render_perfetto(report, capture.annotated())
    explained = why.explain(replay.Replay(path), pid=None, name=None)
    why_page(explained, utc_offset_ns, utc=True, width=40)
    json.dumps(why_to_json(explained, utc_offset_ns))
    for since, until in (("+0.1s", None), (None, "+0.1s"), (None, "10:46")):
        with suppress(UsageError):
            open_replay(path, since=since, until=until).conclude()
