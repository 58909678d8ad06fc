"""The bounds every fuzzed case has, in time and in memory, and how many cases there are.

ZOMTRACE_FUZZ=N takes N times as many.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

ROUNDS = int(os.environ.get("ZOMTRACE_FUZZ", "1"))
SLACK_S = 6.0
"""A second is what is promised of zomtrace; a machine that tests is busy."""


WHOLE_RUN = pytest.mark.timeout(600 * ROUNDS)
"""Of a test with all its cases; on an idle machine it is done in a thirtieth of that."""


def draw_named(data: st.DataObject, label: str, choices: Mapping[str, Any]) -> Any:
    """Draw one of some values by its name: a value may be too long to be told of a failure."""
    return choices[data.draw(st.sampled_from(list(choices)), label=label)]


def cases(number: int) -> settings:
    """Try so many, times what ZOMTRACE_FUZZ says; each takes its time."""
    return settings(
        max_examples=number * ROUNDS,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


class Worker:
    """The process that looks at cases; it may not take what it likes.

    Args:
        module: Its ``look`` is called with each case; see :mod:`tests.fuzz.worker`.
    """

    def __init__(self, module: str) -> None:
        self.outcomes: Counter[str] = Counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.worker", module],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            # A thread's arena is address space that nothing is in, but it is counted.
            env={**os.environ, "MALLOC_ARENA_MAX": "1"},
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()

    def look(self, case: Any) -> str:
        """Have it look at a case, and see that nothing unforeseen comes of it.

        Returns:
            ``read`` or ``refused``.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(case)}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"it ended with {self._process.wait()}"
        outcome, cpu_s, wall_s = json.loads(answer)
        assert outcome in ("read", "refused"), outcome
        assert cpu_s < SLACK_S
        # A busy machine may leave it a tenth of a processor.
        assert wall_s < 10 * SLACK_S
        self.outcomes[outcome] += 1
        return str(outcome)

    def has_met(self, *outcomes: str) -> None:
        """Assert that each came often: a fuzzer that is refused at the door tries nothing."""
        for outcome in outcomes:
            assert self.outcomes[outcome] > self.outcomes.total() / 20, self.outcomes
            assert self.outcomes[outcome] > 20, self.outcomes
