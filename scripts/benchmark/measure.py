"""The measuring itself: rounds of all peers, interleaved, and what is done once."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Self

from benchmark.errors import PeerFailedError
from benchmark.headers import make_kernel_tree
from benchmark.latency import measure_promptness
from benchmark.peers import (
    EXEC,
    FORK,
    FORK_ONE,
    NOTHING,
    NOTHING_CONTAINER,
    SIGNAL,
    Peer,
    Setting,
    Where,
)
from benchmark.place import Place
from benchmark.tool import Tool
from benchmark.workload import Driver, Truth, compile_programs

_NOTHING_EVERY = 3
_BURST_SHARE = {FORK: 1.0, FORK_ONE: 1.0, EXEC: 1.0, SIGNAL: 0.1}
"""Of --burst: a machine sends so many more signals than it forks."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Args:
        rounds: How often every peer has its turn.
        bursts: How often a storm blows in one turn.
        burst_s: How long a burst takes with nothing attached.
        pings: Events whose latency is measured, in every second round.
        idle_s: How long tools with nothing to do are watched.
        long_s: How long the long storm is.
        zombies: At once.
        crowd: Idle processes.
        help_runs: Of ``zomtrace --help``.
    """

    rounds: int = 3
    bursts: int = 3
    burst_s: float = 0.4
    pings: int = 20
    idle_s: float = 60.0
    long_s: float = 60.0
    zombies: int = 30_000
    crowd: int = 5000
    help_runs: int = 10


QUICK = Sizes(
    rounds=1, bursts=2, burst_s=0.2, pings=10, idle_s=20.0, long_s=4.0, zombies=3000, crowd=1000,
    help_runs=5,
)  # fmt: skip


@dataclass
class Results:
    """What was measured, as it goes into the JSON file."""

    numbers: dict[str, int] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)
    starts: list[dict[str, Any]] = field(default_factory=list)
    unavailable: dict[str, str] = field(default_factory=dict)
    idle: dict[str, float] = field(default_factory=dict)
    help_s: list[float] = field(default_factory=list)
    long: list[dict[str, Any]] = field(default_factory=list)
    zombies: list[dict[str, Any]] = field(default_factory=list)
    crowd: list[dict[str, Any]] = field(default_factory=list)
    tiny: dict[str, Any] = field(default_factory=dict)
    hooks: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)


class Bench:
    """A whole run.

    Args:
        place: What it may use.
        sizes: How much of everything.
        peers: Which.
        storms: Which.
        workers: Processes that make a storm: as many as there are processors.
    """

    def __init__(
        self,
        place: Place,
        sizes: Sizes,
        peers: Sequence[Peer],
        storms: Sequence[str],
        workers: int,
    ) -> None:
        self.results = Results()
        self.place = place
        self.sizes = sizes
        self.peers = peers
        self._storms = storms
        self.workers = workers
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        place = self.place
        programs = compile_programs(place.directory)
        self._kernel_tree = make_kernel_tree(place.directory)
        self.drivers = {
            Where.HOST: self._stack.enter_context(Driver(programs, place)),
            Where.CONTAINER: self._stack.enter_context(Driver(programs, place, own_pidns=True)),
        }
        self._other = self._stack.enter_context(Driver(programs, place, own_pidns=True))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    # --- rounds -------------------------------------------------------------

    def rounds(self) -> None:
        """Measure every peer in every storm, round by round."""
        self._calibrate()
        for number in range(self.sizes.rounds):
            for one in self._order(number):
                self._turn(one, number)
            if number % 2 == 0:
                for one in self._rotated(number):
                    if one.tells_at_once:
                        self._promptness(one, number)

    def _rotated(self, number: int) -> list[Peer]:
        start = number * len(self.peers) // max(1, self.sizes.rounds)
        return [*self.peers[start:], *self.peers[:start]]

    def _order(self, number: int) -> Iterator[Peer]:
        """One round: everybody once, nothing in between again and again."""
        yield NOTHING
        for position, one in enumerate(self._rotated(number), 1):
            if one.where is Where.CONTAINER:
                yield NOTHING_CONTAINER
            yield one
            if position % _NOTHING_EVERY == 0 or position == len(self.peers):
                yield NOTHING

    def _calibrate(self) -> None:
        """Find how much makes a burst of the wanted length."""
        driver = self.drivers[Where.HOST]
        for storm in self._storms:
            number = 200
            while True:
                seconds = self._blow(driver, storm, number).seconds
                if seconds > 0.05:
                    break
                number *= 3
            wanted = self.sizes.burst_s * _BURST_SHARE[storm]
            self.results.numbers[storm] = max(50, round(number * wanted / seconds))

    def _blow(self, driver: Driver, storm: str, number: int) -> Truth:
        if storm == FORK_ONE:
            return driver.do("fork", 1, number)
        return driver.do(storm, self.workers, number)

    def _turn(self, one: Peer, number: int) -> None:
        if one.name in self.results.unavailable:
            return
        say(f"round {number + 1}: {one.title}")
        driver = self.drivers[one.where]
        storms = [storm for storm in self._storms if storm in one.storms]
        if one in {NOTHING, NOTHING_CONTAINER}:
            run: dict[str, Any] = {"storms": self._storm_all(driver, storms, None)}
        elif not storms:
            return
        else:
            try:
                run = self._watched(one, driver, storms)
            except PeerFailedError as error:
                self.drop(one, error)
                return
        self.results.runs.append(
            {"peer": one.name, "round": number, "where": one.where.value, **run}
        )

    def _watched(self, one: Peer, driver: Driver, storms: Sequence[str]) -> dict[str, Any]:
        with Tool(one, self.setting(driver), self.place) as tool:
            tool.await_ready(driver)
            ready_s = time.monotonic() - tool.began_s
            ready_cpu_s = tool.await_quiet()
            loaded = tool.memory()
            measured = self._storm_all(driver, storms, tool)
            quiet_cpu_s = tool.cgroup.cpu_s()
            after = tool.memory()
            end_cpu_s = tool.end()
            seen = asdict(one.seen(tool.stdout, tool.seen_beside)) if one.seen else None
        return {
            "storms": measured,
            "ready_s": ready_s,
            "resident": loaded.resident,
            "resident_after": after.resident,
            "highest": max(after.highest, tool.highest_seen),
            "working_cpu_s": quiet_cpu_s - ready_cpu_s,
            "ending_cpu_s": end_cpu_s - quiet_cpu_s,
            "seen": seen,
        }

    def _storm_all(
        self, driver: Driver, storms: Sequence[str], tool: Tool | None
    ) -> dict[str, dict[str, Any]]:
        measured = {}
        for storm in storms:
            before_s = tool.cgroup.cpu_s() if tool else 0.0
            work_before_s = driver.cgroup.cpu_s()
            bursts = [
                self._blow(driver, storm, self.results.numbers[storm])
                for _ in range(self.sizes.bursts)
            ]
            measured[storm] = {
                "seconds": [burst.seconds for burst in bursts],
                "work_cpu_s": driver.cgroup.cpu_s() - work_before_s,
                "processes": sum(burst.processes for burst in bursts),
                "signals": sum(burst.signals for burst in bursts),
                "cpu_s": tool.await_quiet() - before_s if tool else None,
            }
        return measured

    def _promptness(self, one: Peer, number: int) -> None:
        if one.name in self.results.unavailable:
            return
        say(f"round {number + 1}: how prompt is {one.title}")
        driver = self.drivers[one.where]
        try:
            prompt = measure_promptness(
                one, self.setting(driver), driver, self.place, self.sizes.pings
            )
        except PeerFailedError as error:
            self.drop(one, error)
            return
        self.results.starts.append({"peer": one.name, "round": number, **asdict(prompt)})

    def drop(self, one: Peer, error: PeerFailedError) -> None:
        """Note that a peer did not work: if it never did, it has no more turns."""
        say(f"  {one.title} did not work: {error}")
        if not any(run["peer"] == one.name for run in self.results.runs):
            self.results.unavailable[one.name] = str(error)

    def setting(self, driver: Driver) -> Setting:
        """What command lines need to know of a workload."""
        return Setting(
            pid=driver.pid,
            pidns_inum=driver.pidns_inum,
            other_pidns_inum=self._other.pidns_inum,
            other_cgroup=self._other.cgroup.path,
            output=self.place.file("output"),
            kernel_tree=self._kernel_tree,
        )


def say(text: str) -> None:
    """Tell how far the run has come."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
