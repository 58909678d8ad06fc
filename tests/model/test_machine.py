"""The model as a state machine: hypothesis looks for the shortest history that lies."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.model.history import Model
from tests.model.moves import MOVES, Move

CHOICES = st.lists(st.integers(0, 1 << 16), min_size=6, max_size=6)


class KernelMachine(RuleBasedStateMachine):
    """One rule a move; what each one chooses is drawn with it."""

    def __init__(self) -> None:
        super().__init__()
        self._choices: list[int] = []
        self._model: Model | None = None

    def _choose(self, n: int) -> int:
        return self._choices.pop() % n if self._choices else 0

    @initialize(choices=CHOICES)
    def start(self, choices: list[int]) -> None:
        self._choices = list(choices)
        self._model = Model(self._choose)
        self._model.attach()

    def move(self, move: Move, choices: list[int]) -> None:
        self._choices = list(choices)
        if self._model is not None:
            move(self._model.world)

    def teardown(self) -> None:
        if self._model is None:
            return
        self._model.finish()
        assert self._model.differences(is_exact=True) == []
        assert self._model.differences(is_exact=False) == []


def _rule(move: Move) -> Callable[..., None]:
    def run(self: KernelMachine, choices: list[int]) -> None:
        self.move(move, choices)

    run.__name__ = move.__name__
    made: Any = rule(choices=CHOICES)(run)
    return made  # type: ignore[no-any-return]


for _move, _ in MOVES:
    setattr(KernelMachine, _move.__name__, _rule(_move))

TestKernelMachine = KernelMachine.TestCase
TestKernelMachine.settings = settings(
    max_examples=int(os.environ.get("ZOMTRACE_MODEL_HISTORIES", "700")) // 4,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
