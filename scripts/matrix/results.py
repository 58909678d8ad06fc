"""What a guest's tests said, one line of JSON a test.

tests/kernel/conftest.py writes the lines; this reads them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from matrix.errors import GuestError


class Verdict(StrEnum):
    """How a test, or all that stand behind one cell of the table, ended."""

    PASSED = "passed"
    SKIPPED = "skipped"
    FAILED = "failed"


_WORST_FIRST = (Verdict.FAILED, Verdict.SKIPPED, Verdict.PASSED)


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test in one guest.

    Args:
        test: Its pytest node id.
        subject: What it is about: a hook, or another row of the table.
        verdict: How it ended.
        seconds: How long it took, by the guest's clock.
        facts: What it measured or found, for docs/kernels.md.
        reason: Why it was skipped, or None.
    """

    test: str
    subject: str
    verdict: Verdict
    seconds: float
    facts: Mapping[str, object]
    reason: str | None

    @classmethod
    def parse(cls, line: str) -> TestResult:
        """Read one line.

        Raises:
            GuestError: It is not what a test writes.
        """
        try:
            data = json.loads(line)
            return cls(
                data["test"],
                data["subject"],
                Verdict(data["verdict"]),
                data["seconds"],
                data["facts"],
                data["reason"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise GuestError(f"a guest reported a result nobody can read: {line!r}") from error


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of some verdicts: failed, then skipped, then passed."""
    there = set(verdicts)
    return next(verdict for verdict in _WORST_FIRST if verdict in there)
