"""What a notebook shows of a capture: charts and the whole page, without a plotting library."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable
from dataclasses import dataclass

from tracer.files.outfile import new_file
from tracer.model.annotated import Annotated
from tracer.model.report import Report


@dataclass(frozen=True, slots=True)
class Plot:
    """An image that notebooks display by themselves.

    Args:
        content: A whole page, or an ``<svg>`` element.
        suffix: ``.html`` or ``.svg``.
        height: How high a page is shown, in pixels.
    """

    content: str
    suffix: str
    height: int = 0

    def __repr__(self) -> str:
        return f"<Plot ({self.suffix[1:]}): save(path) writes it to a file>"

    def _repr_html_(self) -> str:
        if self.suffix == ".svg":
            return self.content
        # Apart from the notebook: the page's script can reach nothing of it.
        return (
            f'<iframe sandbox="allow-scripts" srcdoc="{html.escape(self.content)}" '
            f'style="width: 100%; height: {self.height}px; border: 0"></iframe>'
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, which is its owner's alone.

        Raises:
            OSError: It cannot be written to.
        """
        with new_file(path) as file:
            file.write(self.content.encode())


def plot_lanes(report: Report, events: Iterable[Annotated], *, height: int = 760) -> Plot:
    """Show the page of ``zomtrace export --format html``: swim lanes, tables, findings."""
    from tracer.report.html import render_html

    return Plot(render_html(report, events), ".html", height)


def plot_counts(report: Report, events: Iterable[Annotated]) -> Plot:
    """Show how many processes lived and were zombies over the trace."""
    from tracer.report.chart import render_counts

    return Plot(render_counts(report, events), ".svg")


def plot_deaths(report: Report) -> Plot:
    """Show how many processes ended how, and why."""
    from tracer.report.chart import render_deaths

    return Plot(render_deaths(report), ".svg")
