"""A capture as pictures: the offline page, and a trace for Perfetto."""

from __future__ import annotations

from pathlib import Path

from tracer.errors import OutputError
from tracer.files.outfile import in_directory, new_file
from tracer.tables.capture import Capture


def export_html(capture: Capture, path: Path) -> None:
    """Write the self-contained page: swim lanes, signals, tables, findings.

    Args:
        capture: What to show.
        path: A file, or a directory that gets ``report.html``.

    Raises:
        OutputError: It cannot be written to.
        CaptureError: The capture is corrupt.
    """
    from tracer.report.html import render_html

    page = render_html(capture.whole_report(), capture.annotated())
    _write(path, "report.html", page.encode())


def export_perfetto(capture: Capture, path: Path) -> None:
    """Write a trace that ui.perfetto.dev opens.

    Args:
        capture: What to show.
        path: A file, or a directory that gets ``trace.perfetto-trace``.

    Raises:
        OutputError: It cannot be written to.
        CaptureError: The capture is corrupt.
    """
    from tracer.report.perfetto import render_perfetto

    trace = render_perfetto(capture.whole_report(), capture.annotated())
    _write(path, "trace.perfetto-trace", trace)


def _write(path: Path, name: str, content: bytes) -> None:
    try:
        with new_file(in_directory(path, name)) as file:
            file.write(content)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
