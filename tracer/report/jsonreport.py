"""The report as one JSON object: what ``--report`` writes and --json ends with."""

from __future__ import annotations

import dataclasses
from typing import Any

from tracer.model.report import Report
from tracer.report.jsonlines import common_fields
from tracer.report.jsonobject import (
    JsonObject,
    clean_object,
    container_object,
    dump_object,
    hook_object,
)
from tracer.wording.times import format_rfc3339


def report_to_json(report: Report) -> JsonObject:
    """Build the report's object.

    It begins with what every line of ``--json`` begins with (``time`` and
    ``boot_ns`` are the trace's end), so that the last line of a stream and the
    file of ``--report`` hold the same object.
    """
    return clean_object(
        {
            **common_fields("report", report.end_boot_ns, report.utc_offset_ns),
            "schema": report.schema,
            "complete": report.complete,
            "headline": report.headline,
            "target": report.target,
            "begin_boot_ns": report.begin_boot_ns,
            "end_boot_ns": report.end_boot_ns,
            "utc_offset_ns": report.utc_offset_ns,
            "lost": report.lost,
            "behind_ns": report.behind_ns,
            "kernel": report.kernel,
            "source": report.source,
            "hooks": [hook_object(hook) for hook in report.hooks],
            "containers": [container_object(each) for each in report.containers],
            "stops": [_record(stop) for stop in report.stops],
            "processes": [_record(process) for process in report.processes],
            "zombies": [_record(zombie) for zombie in report.zombies],
            "findings": [_record(finding) for finding in report.findings],
            "timeline": [
                {
                    "time": format_rfc3339(entry.boot_ns + report.utc_offset_ns),
                    "boot_ns": entry.boot_ns,
                    "text": entry.text,
                    "weight": entry.weight,
                }
                for entry in report.timeline
            ],
            "folded": {
                "processes": [_record(row) for row in report.folded.processes],
                "zombies": [_record(row) for row in report.folded.zombies],
                "stops": [_record(row) for row in report.folded.stops],
                "findings": [_record(row) for row in report.folded.findings],
                "totals": dict(report.folded.totals),
            },
        }
    )


def render_report_line(report: Report) -> str:
    """Write the report as the last line of ``--json``, without the line's end."""
    return dump_object(report_to_json(report))


def render_report_file(report: Report) -> str:
    """Write the report as the content of a ``--report`` file."""
    return dump_object(report_to_json(report), indent=2) + "\n"


def _record(value: Any) -> JsonObject:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
