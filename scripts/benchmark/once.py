"""What a run measures once: not in turns, but at length."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmark.errors import PeerFailedError
from benchmark.hooks import hook_costs
from benchmark.latency import measure_promptness
from benchmark.measure import Bench, say
from benchmark.peers import TINY_RING, Peer, Setting, Where
from benchmark.place import Place
from benchmark.tool import Tool
from benchmark.workload import Driver

_SETTLED_S = 1.0
_TINY_STORM = 2000
_HOOK_STORM = 3000
_ZOMTRACE = str(Path(sys.executable).parent / "zomtrace")


def measure_once(bench: Bench) -> None:
    """Measure all of it."""
    help_times(bench)
    tiny_ring(bench)
    hooks(bench)
    crowded(bench)
    many_zombies(bench)
    idle(bench)
    long_storm(bench)


def _each(bench: Bench, names: Iterable[str], measure: Callable[[Peer], None]) -> None:
    """Do something with those of these peers that are wanted and work."""
    wanted = set(names)
    for one in bench.peers:
        if one.name not in wanted or one.name in bench.results.unavailable:
            continue
        try:
            measure(one)
        except PeerFailedError as error:
            bench.drop(one, error)


def help_times(bench: Bench) -> None:
    """How long ``zomtrace --help`` takes."""
    say("zomtrace --help")
    for _ in range(bench.sizes.help_runs):
        began = time.monotonic()
        subprocess.run([_ZOMTRACE, "--help"], check=True, stdout=subprocess.DEVNULL)
        bench.results.help_s.append(time.monotonic() - began)


def idle(bench: Bench) -> None:
    """Processor time of tools that have nothing to do, all at once."""
    driver = bench.drivers[Where.HOST]
    with ExitStack() as stack:
        tools: list[Tool] = []

        def start(one: Peer) -> None:
            tool = stack.enter_context(Tool(one, bench.setting(driver), bench.place))
            tool.await_ready(driver)
            tools.append(tool)

        _each(bench, ("zt-other", "zt-all", "exitsnoop"), start)
        if not tools:
            return
        titles = ", ".join(tool.peer.title for tool in tools)
        say(f"idle for {bench.sizes.idle_s:.0f} s: {titles}")
        time.sleep(_SETTLED_S)
        began_s = time.monotonic()
        before = [tool.cgroup.cpu_s() for tool in tools]
        time.sleep(bench.sizes.idle_s)
        lasted_s = time.monotonic() - began_s
        for tool, used in zip(tools, before, strict=True):
            bench.results.idle[tool.peer.name] = (tool.cgroup.cpu_s() - used) / lasted_s


def _through(
    bench: Bench, one: Peer, driver: Driver, act: Callable[[Tool], dict[str, Any]]
) -> dict[str, Any]:
    """Run a tool while something happens; what it cost and what it saw."""
    with Tool(one, bench.setting(driver), bench.place) as tool:
        tool.await_ready(driver)
        before_s = tool.await_quiet()
        measured = act(tool)
        working_s = tool.await_quiet() - before_s
        memory = tool.memory()
        all_s = tool.end() - before_s
        assert one.seen is not None
        seen = asdict(one.seen(tool.stdout, tool.seen_beside))
    return {
        "peer": one.name,
        **measured,
        "working_cpu_s": working_s,
        "all_cpu_s": all_s,
        "highest": memory.highest,
        "seen": seen,
    }


def long_storm(bench: Bench) -> None:
    """A storm on every processor for a minute, with default buffers."""
    driver = bench.drivers[Where.HOST]
    seconds = bench.sizes.long_s

    def blow(_: Tool) -> dict[str, Any]:
        truth = driver.do("forkfor", bench.workers, round(seconds * 1000), within_s=seconds + 60)
        return {"processes": truth.processes, "seconds": truth.seconds}

    def measure(one: Peer) -> None:
        say(f"a storm of {seconds:.0f} s: {one.title}")
        bench.results.long.append(_through(bench, one, driver, blow))

    _each(bench, ("zt-all", "zt-record"), measure)


def many_zombies(bench: Bench) -> None:
    """A container with thousands of zombies, seen come and go."""
    number = bench.sizes.zombies
    bench.place.make_room_for(number)
    driver = bench.drivers[Where.CONTAINER]
    say(f"{number} zombies: nothing attached")
    made = driver.do("zombies", number)
    began = time.monotonic()
    done = subprocess.run([_ZOMTRACE, "zombies", "--json"], capture_output=True, check=False)
    scan_s = time.monotonic() - began
    listed = json.loads(done.stdout)["zombies"]
    reaped = driver.do("reap")
    bench.results.zombies.append(
        {
            "peer": "nothing-container",
            "number": made.processes,
            "made_s": made.seconds,
            "reaped_s": reaped.seconds,
            "scan_s": scan_s,
            "scan_found": sum(1 for zombie in listed if zombie["comm"] == "zb-zombie"),
        }
    )

    def come_and_go(tool: Tool) -> dict[str, Any]:
        made = driver.do("zombies", number)
        tool.await_quiet()
        reaped = driver.do("reap")
        return {
            "number": made.processes,
            "made_s": made.seconds,
            "reaped_s": reaped.seconds,
        }

    def measure(one: Peer) -> None:
        say(f"{number} zombies: {one.title}")
        bench.results.zombies.append(_through(bench, one, driver, come_and_go))

    _each(bench, ("zt-all", "zt-record", "exitsnoop"), measure)


def crowded(bench: Bench) -> None:
    """A host with thousands of idle processes: how soon a tool shows something."""
    number = bench.sizes.crowd
    bench.place.make_room_for(number)
    driver = bench.drivers[Where.HOST]
    driver.do("crowd", number)

    def measure(one: Peer) -> None:
        say(f"among {number} processes: {one.title}")
        prompt = measure_promptness(
            one, bench.setting(driver), driver, bench.place, bench.sizes.pings
        )
        bench.results.crowd.append(
            {
                "peer": one.name,
                "number": number,
                "first_s": prompt.first_s,
                "latency_s": statistics.median(prompt.latencies_s) if prompt.latencies_s else None,
                "highest": prompt.highest,
            }
        )

    try:
        _each(bench, ("zt-json", "exitsnoop", "bpftrace-exit"), measure)
    finally:
        driver.do("disperse")


def hooks(bench: Bench) -> None:
    """What the kernel says each BPF program takes; timing them slows them down a bit."""
    bench.place.count_programs()
    driver = bench.drivers[Where.HOST]

    def measure(one: Peer) -> None:
        say(f"what its hooks cost: {one.title}")
        with Tool(one, bench.setting(driver), bench.place) as tool:
            tool.await_ready(driver)
            driver.do("fork", bench.workers, _HOOK_STORM)
            driver.do("exec", bench.workers, _HOOK_STORM // 4)
            driver.do("signal", bench.workers, _HOOK_STORM)
            tool.await_quiet()
            bench.results.hooks[one.name] = hook_costs(tool.cgroup.pids())

    try:
        _each(bench, ("bare", "zt-other", "zt-all", "exitsnoop", "bpftrace-exit"), measure)
    finally:
        bench.place.stop_counting_programs()


def tiny_ring(bench: Bench) -> None:
    """A ring that must lose: is what it says it lost what is missing?"""
    driver = bench.drivers[Where.CONTAINER]

    def measure(_: Peer) -> None:
        say(TINY_RING.title)
        bench.results.tiny = count_with_a_tiny_ring(
            driver, bench.setting(driver), bench.place, bench.workers, _TINY_STORM
        )

    _each(bench, ("zt-container",), measure)


def count_with_a_tiny_ring(
    driver: Driver, setting: Setting, place: Place, workers: int, number: int
) -> dict[str, dict[str, int]]:
    """Trace a storm with a ring that cannot hold it.

    Returns:
        For forks, exits and signals (a SIGCHLD each): what happened, what was
        told and what was said to be lost.

    Raises:
        PeerFailedError: zomtrace does not work here.
    """
    with Tool(TINY_RING, setting, place) as tool:
        tool.await_ready(driver)
        tool.await_quiet()
        truth = driver.do("fork", workers, number)
        tool.await_quiet()
        tool.end()
        assert TINY_RING.seen is not None
        seen = TINY_RING.seen(tool.stdout, tool.output)
    happened = truth.processes
    return {
        kind: {
            "happened": happened,
            "told": seen.kinds.get(kind, 0),
            "lost": (seen.lost or {}).get(kind, 0),
        }
        for kind in ("fork", "exit", "signal")
    }
