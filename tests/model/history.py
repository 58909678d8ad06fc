"""Histories of the model: a seed and a length make one."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.model.claim_truth import ClaimTruth
from tests.model.finding_truth import MIN_ZOMBIE_NS, FindingTruth
from tests.model.kernel import Kernel
from tests.model.moves import MOVES, World
from tests.model.oracle import Oracle, correlator_of, report_of
from tests.model.process import Ns
from tests.model.records import Recorder
from tracer.diagnose.conclusions import Conclusions
from tracer.diagnose.summary import summarise
from tracer.model.events import AttachedEvent, Event

_MOVES = [move for move, weight in MOVES for _ in range(weight)]
Spoil = Callable[[list[Event]], list[Event]]


class Model:
    """A machine with one container on it, not traced yet.

    Args:
        choose: Given n > 0, a number below n: everything that may go one way or
            another goes by it.
    """

    def __init__(self, choose: Callable[[int], int]) -> None:
        rng = random.Random(choose(1 << 30))
        self.recorder = Recorder(rng)
        self.kernel = Kernel(rng, self.recorder, drops_for_the_dying=bool(choose(2)))
        self.world = World(self.kernel, choose)
        self.world.begin()
        assert self.world.target is not None
        self.target: Ns = self.world.target

    def fold(self, *, min_zombie_ns: int, room: int = 1 << 30) -> None:
        """Have the kernel side fold ordinary lifetimes, too; before :meth:`attach`."""
        self.recorder.fold(min_zombie_ns=min_zombie_ns, room=room)

    def attach(self) -> None:
        """Begin to trace."""
        self.kernel.tick()
        self.recorder.attach(self.kernel, self.target)

    def finish(self) -> None:
        """Let what was released be freed."""
        self.kernel.tick(600_000_000)
        self.recorder.finish(self.kernel)

    def stream(self, *, is_exact: bool, is_folded: bool = False) -> list[Event]:
        """The records with kprobes (exact) or without; with lives folded or not."""
        if is_folded:
            return self.recorder.foldings[is_exact].stream
        return self.recorder.kprobe if is_exact else self.recorder.tracepoint

    def differences(
        self,
        *,
        is_exact: bool,
        spoil: Spoil | None = None,
        is_lossy: bool = False,
        is_folded: bool = False,
    ) -> list[str]:
        """What a report of the history says that is not true."""
        events = self.stream(is_exact=is_exact, is_folded=is_folded)
        attached = next(event for event in events if isinstance(event, AttachedEvent))
        oracle = Oracle(
            self.kernel, self.target, attached.boot_ns, is_exact=is_exact, is_lossy=is_lossy
        )
        spoilt = spoil(events) if spoil is not None else events
        found = list(oracle.differences(report_of(spoilt, self.kernel.t, min_zombie_ns=0)))
        truth = FindingTruth(self.kernel, self.target, attached.boot_ns)
        correlator = correlator_of(spoilt, self.kernel.t, min_zombie_ns=MIN_ZOMBIE_NS)
        report = summarise(correlator)
        claims = ClaimTruth(self.kernel, self.target, attached.boot_ns)
        untrue = claims.untrue(Conclusions(correlator), report)
        return [*found, *truth.untrue(report), *untrue]


def history(
    seed: int,
    length: int = 40,
    late: int = 0,
    *,
    min_zombie_ns: int | None = None,
    room: int = 1 << 30,
) -> Model:
    """One history: ``late`` moves before tracing begins, ``length`` after.

    With ``min_zombie_ns`` ordinary lifetimes are folded besides, as many as there is ``room`` for.
    """
    rng = random.Random(seed)
    model = Model(rng.randrange)
    if min_zombie_ns is not None:
        model.fold(min_zombie_ns=min_zombie_ns, room=room)
    for _ in range(late):
        rng.choice(_MOVES)(model.world)
    model.attach()
    for _ in range(length):
        rng.choice(_MOVES)(model.world)
    model.finish()
    return model
