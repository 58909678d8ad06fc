"""The chain of causes of one death, as sentences."""

from __future__ import annotations

from dataclasses import dataclass

from tracer.model.report import Finding


@dataclass(frozen=True, slots=True)
class WhyStep:
    """One link of the chain.

    Args:
        boot_ns: When it happened; None where it follows from what was before.
        text: One or two plain sentences. Names in it are raw: renderers
            escape them.
    """

    boot_ns: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Why:
    """Why something ended.

    Args:
        question: What was asked, as a question.
        answer: The short answer.
        steps: What led to it, in order.
        findings: What the report says about those concerned.
        complete: Whether all of it was seen.
    """

    question: str
    answer: str
    steps: tuple[WhyStep, ...]
    findings: tuple[Finding, ...]
    complete: bool
