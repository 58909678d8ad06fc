"""Histories of the model: a seed and a length make one."""

from __future__ import annotations

import random

from tests.model.kernel import Kernel, Ns
from tests.model.moves import MOVES, World
from tests.model.oracle import Oracle, report_of
from tests.model.records import Recorder
from tracer.model.events import AttachedEvent, Event

_MOVES = [move for move, weight in MOVES for _ in range(weight)]


class History:
    """One run of the model.

    Args:
        seed: Chooses everything.
        late: Moves before tracing begins.
    """

    def __init__(self, seed: int, length: int = 40, late: int = 0) -> None:
        rng = random.Random(seed)  # noqa: S311
        self.recorder = Recorder(rng)
        self.kernel = Kernel(rng, self.recorder, drops_for_the_dying=rng.random() < 0.5)
        world = World(self.kernel, lambda n: rng.randrange(n))
        world.begin()
        assert world.target is not None
        self.target: Ns = world.target
        for _ in range(late):
            rng.choice(_MOVES)(world)
        self.kernel.tick()
        self.recorder.attach(self.kernel, self.target)
        for _ in range(length):
            rng.choice(_MOVES)(world)
        self.finish()

    def finish(self) -> None:
        self.kernel.tick(600_000_000)

    def stream(self, *, is_exact: bool) -> list[Event]:
        return self.recorder.kprobe if is_exact else self.recorder.tracepoint

    def differences(self, *, is_exact: bool) -> list[str]:
        events = self.stream(is_exact=is_exact)
        attached = next(event for event in events if isinstance(event, AttachedEvent))
        oracle = Oracle(self.kernel, self.target, attached.boot_ns, is_exact=is_exact)
        return list(oracle.differences(report_of(events, self.kernel.t)))
