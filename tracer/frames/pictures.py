"""A capture as pictures: the offline page, and a trace for Perfetto."""

from __future__ import annotations

from pathlib import Path

from tracer.errors import OutputError
from tracer.frames.capture import Capture
from tracer.report.private_file import private_file


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

    page = render_html(capture.report(), capture.annotated())
    _write(path / "report.html" if path.is_dir() else path, page.encode())


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

    trace = render_perfetto(capture.report(), capture.annotated())
    _write(path / "trace.perfetto-trace" if path.is_dir() else path, trace)


def _write(path: Path, content: bytes) -> None:
    try:
        with private_file(path) as file:
            file.write(content)
    except OSError as error:
        raise OutputError(
            f"{path}: {error.strerror}", hint="name a file in a directory that is there"
        ) from error
