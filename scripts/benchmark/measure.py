"""The measuring itself: rounds of all peers, interleaved, and what is done once."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
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
    TINY_RING,
    Peer,
    Setting,
    Where,
    peer,
)
from benchmark.place import Place
from benchmark.tool import Tool
from benchmark.workload import Driver, Truth, compile_programs

_NOTHING_EVERY = 3
_BURST_SHARE = {FORK: 1.0, FORK_ONE: 1.0, EXEC: 1.0, SIGNAL: 0.25}
"""Of --burst: a machine sends so many more signals than it forks."""

_SETTLED_S = 2.0


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
        self._place = place
        self._sizes = sizes
        self._peers = peers
        self._storms = storms
        self._workers = workers
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        place = self._place
        programs = compile_programs(place.directory)
        self._kernel_tree = make_kernel_tree(place.directory)
        self._drivers = {
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
        for number in range(self._sizes.rounds):
            for one in self._order(number):
                self._turn(one, number)
            if number % 2 == 0:
                for one in self._rotated(number):
                    if one.tells_at_once:
                        self._promptness(one, number)

    def _rotated(self, number: int) -> list[Peer]:
        start = number * len(self._peers) // max(1, self._sizes.rounds)
        return [*self._peers[start:], *self._peers[:start]]

    def _order(self, number: int) -> Iterator[Peer]:
        """One round: everybody once, nothing in between again and again."""
        yield NOTHING
        for position, one in enumerate(self._rotated(number), 1):
            if one.where is Where.CONTAINER:
                yield NOTHING_CONTAINER
            yield one
            if position % _NOTHING_EVERY == 0 or position == len(self._peers):
                yield NOTHING

    def _calibrate(self) -> None:
        """Find how much makes a burst of the wanted length."""
        driver = self._drivers[Where.HOST]
        for storm in self._storms:
            number = 200
            while True:
                seconds = self._blow(driver, storm, number).seconds
                if seconds > 0.05:
                    break
                number *= 3
            wanted = self._sizes.burst_s * _BURST_SHARE[storm]
            self.results.numbers[storm] = max(50, round(number * wanted / seconds))

    def _blow(self, driver: Driver, storm: str, number: int) -> Truth:
        if storm == FORK_ONE:
            return driver.do("fork", 1, number)
        return driver.do(storm, self._workers, number)

    def _turn(self, one: Peer, number: int) -> None:
        if one.name in self.results.unavailable:
            return
        _say(f"round {number + 1}: {one.title}")
        driver = self._drivers[one.where]
        storms = [storm for storm in self._storms if storm in one.storms]
        if one in {NOTHING, NOTHING_CONTAINER}:
            run: dict[str, Any] = {"storms": self._storm_all(driver, storms, None)}
        elif not storms:
            return
        else:
            try:
                run = self._watched(one, driver, storms)
            except PeerFailedError as error:
                self._drop(one, error)
                return
        self.results.runs.append(
            {"peer": one.name, "round": number, "where": one.where.value, **run}
        )

    def _watched(self, one: Peer, driver: Driver, storms: Sequence[str]) -> dict[str, Any]:
        with Tool(one, self._setting(driver), self._place) as tool:
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
            bursts = [
                self._blow(driver, storm, self.results.numbers[storm])
                for _ in range(self._sizes.bursts)
            ]
            measured[storm] = {
                "seconds": [burst.seconds for burst in bursts],
                "processes": sum(burst.processes for burst in bursts),
                "signals": sum(burst.signals for burst in bursts),
                "cpu_s": tool.await_quiet() - before_s if tool else None,
            }
        return measured

    def _promptness(self, one: Peer, number: int) -> None:
        if one.name in self.results.unavailable:
            return
        _say(f"round {number + 1}: how prompt is {one.title}")
        driver = self._drivers[one.where]
        try:
            prompt = measure_promptness(
                one, self._setting(driver), driver, self._place, self._sizes.pings
            )
        except PeerFailedError as error:
            self._drop(one, error)
            return
        self.results.starts.append({"peer": one.name, "round": number, **asdict(prompt)})

    def _drop(self, one: Peer, error: PeerFailedError) -> None:
        _say(f"  {one.title} does not work here: {error}")
        self.results.unavailable[one.name] = str(error)

    def _setting(self, driver: Driver) -> Setting:
        return Setting(
            pid=driver.pid,
            pidns_inum=driver.pidns_inum,
            other_pidns_inum=self._other.pidns_inum,
            other_cgroup=self._other.cgroup.path,
            output=self._place.file("output"),
            kernel_tree=self._kernel_tree,
        )

    # --- what is done once ----------------------------------------------------

    def help_times(self) -> None:
        """How long ``zomtrace --help`` takes."""
        _say("zomtrace --help")
        command = [str(Path(sys.executable).parent / "zomtrace"), "--help"]
        for _ in range(self._sizes.help_runs):
            began = time.monotonic()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            self.results.help_s.append(time.monotonic() - began)

    def idle(self) -> None:
        """Processor time of tools that have nothing to do, all at once."""
        chosen = [one for one in self._peers if one.name in {"zt-other", "zt-all", "exitsnoop"}]
        _say(f"idle for {self._sizes.idle_s:.0f} s: {', '.join(one.title for one in chosen)}")
        driver = self._drivers[Where.HOST]
        with ExitStack() as stack:
            tools = []
            for one in chosen:
                if one.name in self.results.unavailable:
                    continue
                tool = stack.enter_context(Tool(one, self._setting(driver), self._place))
                tool.await_ready(driver)
                tools.append(tool)
            time.sleep(_SETTLED_S)
            began_s = time.monotonic()
            before = [tool.cgroup.cpu_s() for tool in tools]
            time.sleep(self._sizes.idle_s)
            lasted_s = time.monotonic() - began_s
            for tool, used in zip(tools, before, strict=True):
                self.results.idle[tool.peer.name] = (tool.cgroup.cpu_s() - used) / lasted_s

    def long_storm(self) -> None:
        """A storm on every processor for a minute, with default buffers."""
        for name in ("zt-all", "zt-record"):
            one = peer(name)
            if one not in self._peers or name in self.results.unavailable:
                continue
            _say(f"a storm of {self._sizes.long_s:.0f} s: {one.title}")
            driver = self._drivers[one.where]
            with Tool(one, self._setting(driver), self._place) as tool:
                tool.await_ready(driver)
                before_s = tool.await_quiet()
                truth = driver.do(
                    "forkfor", self._workers, round(self._sizes.long_s * 1000),
                    within_s=self._sizes.long_s + 60,
                )  # fmt: skip
                working_s = tool.await_quiet() - before_s
                memory = tool.memory()
                all_s = tool.end() - before_s
                assert one.seen is not None
                seen = asdict(one.seen(tool.stdout, tool.seen_beside))
            self.results.long.append(
                {
                    "peer": name, "processes": truth.processes, "seconds": truth.seconds,
                    "working_cpu_s": working_s, "all_cpu_s": all_s,
                    "highest": memory.highest, "seen": seen,
                }
            )  # fmt: skip

    def many_zombies(self) -> None:
        """A container with thousands of zombies, seen come and go."""
        number = self._sizes.zombies
        self._place.make_room_for(number)
        driver = self._drivers[Where.CONTAINER]
        for one in (NOTHING_CONTAINER, *map(peer, ("zt-all", "zt-record", "exitsnoop"))):
            if one is not NOTHING_CONTAINER and (
                one not in self._peers or one.name in self.results.unavailable
            ):
                continue
            _say(f"{number} zombies: {one.title}")
            if one is NOTHING_CONTAINER:
                made = driver.do("zombies", number)
                scan = self._scan_zombies()
                reaped = driver.do("reap")
                self.results.zombies.append(
                    {"peer": one.name, "made_s": made.seconds, "reaped_s": reaped.seconds,
                     "number": made.processes, **scan}
                )  # fmt: skip
                continue
            with Tool(one, self._setting(driver), self._place) as tool:
                tool.await_ready(driver)
                before_s = tool.await_quiet()
                made = driver.do("zombies", number)
                tool.await_quiet()
                reaped = driver.do("reap")
                working_s = tool.await_quiet() - before_s
                memory = tool.memory()
                all_s = tool.end() - before_s
                assert one.seen is not None
                seen = asdict(one.seen(tool.stdout, tool.seen_beside))
            self.results.zombies.append(
                {
                    "peer": one.name, "number": made.processes, "made_s": made.seconds,
                    "reaped_s": reaped.seconds, "working_cpu_s": working_s, "all_cpu_s": all_s,
                    "highest": memory.highest, "seen": seen,
                }
            )  # fmt: skip

    def _scan_zombies(self) -> dict[str, Any]:
        """``zomtrace zombies`` while they are there."""
        import json

        began = time.monotonic()
        done = subprocess.run(
            [str(Path(sys.executable).parent / "zomtrace"), "zombies", "--json"],
            capture_output=True, check=False,
        )  # fmt: skip
        seconds = time.monotonic() - began
        listed = json.loads(done.stdout)["zombies"]
        return {
            "scan_s": seconds,
            "scan_found": sum(1 for zombie in listed if zombie["comm"] == "zb-zombie"),
        }

    def crowded(self) -> None:
        """A host with thousands of idle processes: how soon a tool shows something."""
        number = self._sizes.crowd
        self._place.make_room_for(number)
        driver = self._drivers[Where.HOST]
        driver.do("crowd", number)
        try:
            for one in self._peers:
                if one.name not in {"zt-json", "exitsnoop", "bpftrace-exit"}:
                    continue
                if one.name in self.results.unavailable:
                    continue
                _say(f"among {number} processes: {one.title}")
                prompt = measure_promptness(
                    one, self._setting(driver), driver, self._place, self._sizes.pings
                )
                self.results.crowd.append(
                    {
                        "peer": one.name, "number": number, "first_s": prompt.first_s,
                        "latency_s": statistics.median(prompt.latencies_s or [float("nan")]),
                        "highest": prompt.highest,
                    }
                )  # fmt: skip
        finally:
            driver.do("disperse")

    def tiny_ring(self) -> None:
        """A ring that must lose: is what it says it lost what is missing?"""
        if not any(one.name == "zt-container" for one in self._peers):
            return
        self.results.tiny = count_with_a_tiny_ring(
            self._drivers[Where.CONTAINER],
            self._setting(self._drivers[Where.CONTAINER]),
            self._place,
            self._workers,
            2000,
        )


def count_with_a_tiny_ring(
    driver: Driver, setting: Setting, place: Place, workers: int, number: int
) -> dict[str, Any]:
    """Trace a storm with a ring that cannot hold it.

    Returns:
        For forks, exits and signals (a SIGCHLD each): what happened, what was
        told and what was said to be lost.

    Raises:
        PeerFailedError: zomtrace does not work here.
    """
    _say(TINY_RING.title)
    with Tool(TINY_RING, setting, place) as tool:
        tool.await_ready(driver)
        tool.await_quiet()
        truth = driver.do("fork", workers, number)
        tool.await_quiet()
        tool.end()
        assert TINY_RING.seen is not None
        seen = TINY_RING.seen(tool.stdout, tool.output)
    happened = truth.processes + workers
    return {
        kind: {
            "happened": happened,
            "told": seen.kinds.get(kind, 0),
            "lost": (seen.lost or {}).get(kind, 0),
        }
        for kind in ("fork", "exit", "signal")
    }


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)
