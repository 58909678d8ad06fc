"""ZT901: what the picture lacks."""

from __future__ import annotations

from collections.abc import Iterator

from tracer.correlate import wording
from tracer.correlate.correlator import Correlator
from tracer.correlate.findings.make import make_finding
from tracer.model.report import Finding


def find_losses(correlator: Correlator) -> Iterator[Finding]:
    """The finding that events were lost, if any were."""
    totals = correlator.losses.totals
    if not totals:
        return
    parts = [f"{number} {kind}" for kind, number in sorted(totals.items())]
    total = sum(totals.values())
    yield make_finding(
        "ZT901",
        title=f"{wording.count(total, 'event')} lost",
        detail=(
            f"Lost: {wording.enumerate_all(parts)}. Verdicts that may rest on them are marked incomplete;"
            " counts of what was seen are lower bounds."
        ),
        advice="Trace fewer containers at once, or give the tracer more CPU.",
        states=[],
        complete=True,
    )
