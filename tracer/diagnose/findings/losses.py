"""ZT901: events were lost, results are incomplete."""

from __future__ import annotations

from collections.abc import Iterator

from tracer.correlate.correlator import Correlator
from tracer.correlate.losses import LATE
from tracer.diagnose.findings.make import make_finding
from tracer.model.events import OVERRUN
from tracer.model.report import Finding
from tracer.wording import names as wording

_SAID = {
    LATE: "{} that arrived too late to be sorted",
    OVERRUN: "at least {} of any kind, because the socket had no room",
}


def find_losses(correlator: Correlator) -> Iterator[Finding]:
    """The finding that events were lost, if any were."""
    totals = correlator.losses.totals
    if not totals:
        return
    total = sum(totals.values())
    parts = [
        _SAID[kind].format(number) if kind in _SAID else f"{number} {kind}"
        for kind, number in sorted(totals.items(), key=lambda item: (item[0] == LATE, item[0]))
    ]
    yield make_finding(
        "ZT901",
        title=("at least " if OVERRUN in totals else "")
        + f"{wording.count(total, 'event')} {wording.was_or_were(total)} lost",
        detail=(
            f"Lost events by kind: {wording.enumerate_all(parts)}. Results that may depend on them are"
            " marked as incomplete or unknown; counts are lower bounds."
        ),
        advice="Trace fewer containers at once, or give the tracer more CPU time.",
        states=[],
        complete=True,
    )
