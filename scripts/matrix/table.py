"""The table a run ends with: subjects down, kernels across."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matrix.results import TestResult, Verdict, worst

_MARK = {Verdict.PASSED: "ok", Verdict.SKIPPED: "skipped", Verdict.FAILED: "FAILED"}

Grid = Mapping[tuple[str, str], Sequence[TestResult]]
"""(subject, kernel) -> the tests behind the cell."""


def cell(results: Sequence[TestResult]) -> str:
    """Render one cell: the verdict, how many tests, how many seconds."""
    if not results:
        return "-"
    mark = _MARK[worst(result.verdict for result in results)]
    seconds = sum(result.seconds for result in results)
    return f"{mark} {len(results)}/{seconds:.1f}s"


def render_table(grid: Grid, kernels: Sequence[str], heads: Mapping[str, str]) -> str:
    """Render the table.

    Args:
        grid: The results.
        kernels: The columns, oldest first.
        heads: What stands above each column.
    """
    subjects = list(dict.fromkeys(subject for subject, _ in grid))
    rows = [["", *(heads[kernel] for kernel in kernels)]]
    rows += [
        [subject, *(cell(grid.get((subject, kernel), ())) for kernel in kernels)]
        for subject in subjects
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
