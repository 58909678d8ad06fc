"""What came before a runtime's SIGKILL: that no stop signal did, as far as was seen."""

from __future__ import annotations

from collections.abc import Sequence

from tracer.correlate.correlator import Correlator
from tracer.correlate.process import ProcessState
from tracer.diagnose.absence import Absences
from tracer.model.events import SignalEvent
from tracer.wording import names as wording
from tracer.wording.absence import no_stop_signal

FORCED = ": a forced kill, not a stop"
"""What is said where a stop that began unseen is ruled out."""


def say_before_kill(
    correlator: Correlator, victims: Sequence[ProcessState], event: SignalEvent
) -> tuple[str, bool]:
    """Say what stop signal came before a SIGKILL that began a stop, and whether that is sure.

    Args:
        correlator: Knows everything.
        victims: Whom it killed.
        event: The SIGKILL.

    Returns:
        The words behind a comma, and whether a stop that began unseen is ruled out.
    """
    for scope in victims[0].led:
        for stop in scope.stops:
            if stop.kill is event and stop.after_survived_ns is not None:
                ago = wording.seconds(event.boot_ns - stop.after_survived_ns)
                return f"{ago} after a stop signal that it had survived{FORCED}", True
    around = next((scope for victim in victims for scope in victim.scopes), None)
    if around is None:
        return "no earlier stop signal was captured", False
    claim = Absences(correlator.trace).stop_signal_before(around, event.boot_ns)
    return f"{no_stop_signal(claim)}{FORCED * claim.rules_out_stop}", claim.rules_out_stop
