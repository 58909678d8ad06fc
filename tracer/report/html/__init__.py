"""The report as one offline page: swim lanes, signals as arrows, tables."""

from tracer.report.html.document import render_html

__all__ = ["render_html"]
