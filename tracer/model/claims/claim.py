"""What all claims have: evidence, certainty, and what would make them certain."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tracer.model.identity import ProcessKey


class Certainty(StrEnum):
    """How a claim is known."""

    SEEN = "seen"
    """An event or a reading says it."""
    BOUNDED = "bounded"
    """It holds within the bounds that it states."""
    INFERRED = "inferred"
    """It follows from what was seen, by a rule of the kernel or of a known program."""
    UNKNOWN = "unknown"
    """What would show it was not seen, or may have been lost."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One event or reading that a claim rests on.

    Args:
        kind: The event's kind, as in JSON: ``signal``, ``exit``, ``observation`` ...
        boot_ns: When it was.
        about: The process it is about, or None.
        what: Of an observation, which: its source and reading.

    Units:
        boot_ns: CLOCK_BOOTTIME, ns.
    """

    kind: str
    boot_ns: int
    about: ProcessKey | None = None
    what: str | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """The time that a claim speaks of.

    Args:
        since_ns: Its begin.
        until_ns: Its end; None = the end of the trace.

    Units:
        since_ns, until_ns: CLOCK_BOOTTIME, ns.
    """

    since_ns: int
    until_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A statement that output may word; nothing else may be said.

    Args:
        certainty: How it is known.
        evidence: What it rests on, in order of time.
        span: The time it speaks of, where it speaks of one.
        needs: What would have to be seen to make it certain, in words; empty where it
            is.
    """

    certainty: Certainty = Certainty.SEEN
    evidence: tuple[Evidence, ...] = ()
    span: Span | None = None
    needs: tuple[str, ...] = ()

    @property
    def is_certain(self) -> bool:
        """Whether nothing that it rests on can be missing."""
        return self.certainty is not Certainty.UNKNOWN and not self.needs
