"""ZT901: what the picture lacks."""

from __future__ import annotations

from collections.abc import Iterator

from tracer.correlate import wording
from tracer.correlate.correlator import Correlator
from tracer.correlate.findings.make import make_finding
from tracer.correlate.losses import LATE
from tracer.model.report import Finding


def find_losses(correlator: Correlator) -> Iterator[Finding]:
    """The finding that events were lost, if any were."""
    totals = correlator.losses.totals
    if not totals:
        return
    parts = [
        f"{number} that came too late to be put in order" if kind == LATE else f"{number} {kind}"
        for kind, number in sorted(totals.items(), key=lambda item: (item[0] == LATE, item[0]))
    ]
    yield make_finding(
        "ZT901",
        title=f"{wording.count(sum(totals.values()), 'event')} lost",
        detail=(
            f"Lost, by kind: {wording.enumerate_all(parts)}. What may rest on them is marked as not"
            " complete, or said to be unknown; the counts of what was seen are lower bounds."
        ),
        advice="Trace fewer containers at once, or give the tracer more CPU time.",
        states=[],
        complete=True,
    )
