"""The claims about one stop: what began it, what was asked, and of whom."""

from __future__ import annotations

from dataclasses import dataclass

from tracer.model.claims.absence import OthersAbsence, SignalAbsence
from tracer.model.claims.claim import Claim
from tracer.model.identity import ProcessKey
from tracer.model.verdicts import StopSignalDisposition


@dataclass(frozen=True, slots=True, kw_only=True)
class StopCourse(Claim):
    """How one stop went, as far as it was seen.

    Args:
        init: Whose stop it is.
        trigger: What began it; ``unknown`` where what ended init was not seen.
        disposition: What init did about the stop signal; ``not_sent`` only where the
            claim that none was sent holds.
        unasked: The claim that no stop signal was sent before it; None where one was.
        alone: The claim that init had no other process; None where it had.
        lived_ns: How long init lived; None where its end was not seen.

    Units:
        lived_ns: ns.
    """

    init: ProcessKey
    trigger: str
    disposition: StopSignalDisposition
    unasked: SignalAbsence | None
    alone: OthersAbsence | None
    lived_ns: int | None
