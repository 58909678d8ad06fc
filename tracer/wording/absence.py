"""Claims of absence in words: never more than the span that was seen."""

from __future__ import annotations

from tracer.model.claims.absence import OthersAbsence, SignalAbsence
from tracer.model.claims.claim import Certainty
from tracer.wording.names import seconds


def no_stop_signal(claim: SignalAbsence) -> str:
    """Say that no stop signal came before a kill: ``with no prior stop signal``."""
    if claim.certainty is Certainty.UNKNOWN:
        return "no earlier stop signal was captured"
    if claim.certainty is Certainty.BOUNDED:
        return f"with no stop signal in the {seconds(claim.seen_ns)} since tracing began"
    return "with no prior stop signal"


def no_others(claim: OthersAbsence | None) -> str:
    """Say that init had no other process beside it; nothing where that is not known."""
    if claim is None or not claim.is_certain:
        return ""
    return "no other process was left" if claim.was_left_alone else "it was the only process"
