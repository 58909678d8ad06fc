"""Medians and spreads out of what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.peers import EXEC, FORK, FORK_ONE, NOTHING, NOTHING_CONTAINER, SIGNAL, STORMS

_NOTHING = {"host": NOTHING.name, "container": NOTHING_CONTAINER.name}


@dataclass(frozen=True)
class Spread:
    """A median, and between what the values lie."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """Of some values; None of none."""
        if not values:
            return None
        return cls(statistics.median(values), min(values), max(values))


def _seconds(storm: Mapping[str, Any]) -> list[float]:
    return list(storm["seconds"])


def _work_cpu_s(storm: Mapping[str, Any]) -> list[float]:
    return [storm["work_cpu_s"]]


def _ratio(
    run: Mapping[str, Any],
    bare: Sequence[Mapping[str, Any]],
    storm: str,
    values: Callable[[Mapping[str, Any]], list[float]],
) -> float:
    base = [value for each in bare for value in values(each["storms"][storm])]
    return statistics.median(values(run["storms"][storm])) / statistics.median(base)


def noise(runs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """How far from 1 nothing attached lies, compared with itself as a peer is, by storm.

    Nine tenths of its turns are nearer than that.
    """
    shares = {}
    for storm in STORMS:
        bare = [run for run in runs if run["peer"] == NOTHING.name and storm in run["storms"]]
        away = sorted(
            abs(_ratio(one, (before, after), storm, _seconds) - 1.0)
            for before, one, after in zip(bare, bare[1:], bare[2:], strict=False)
        )
        if away:
            shares[storm] = away[min(len(away) - 1, len(away) * 9 // 10)]
    return shares


def slow_downs(
    runs: Sequence[Mapping[str, Any]],
    name: str,
    storm: str,
    values: Callable[[Mapping[str, Any]], list[float]] = _seconds,
) -> list[float]:
    """A peer's time over that of nothing attached, just before and just after it."""
    ratios = []
    for position, run in enumerate(runs):
        if run["peer"] != name or storm not in run["storms"]:
            continue
        wanted = _NOTHING[run["where"]]
        before = [each for each in runs[:position] if each["peer"] == wanted][-1:]
        after = [each for each in runs[position:] if each["peer"] == wanted][:1]
        if run["where"] == "container":
            # Measured right before it; the next one is a round away.
            after = []
        bare = [each for each in before + after if storm in each["storms"]]
        if bare:
            ratios.append(_ratio(run, bare, storm, values))
    return ratios


@dataclass(frozen=True)
class PeerFigures:
    """A row of the tables; None where something was not measured.

    Args:
        slow_down: By storm; none of those that nothing attached was too noisy in.
        work: Processor time of the fork storm itself, over that with nothing
            attached: what the hooks take, whoever else wants the processor.
        cpu_per_million_processes: Of the fork storm on all processors; seconds.
        cpu_per_million_signals: Seconds.
        happened, missing: Events that it should have told of, and those it did not.
        lost_own_word: What it says it lost.
        resident, highest: Bytes.
        ready_s: From its start until it said it was attached, where it says.
        first_s: From its start to the first event shown.
        latency_s, latency_p95_s: From the event to its line.
        events_per_cpu_s: Events worked off in a second of processor time.
    """

    slow_down: Mapping[str, Spread]
    work: Spread | None
    cpu_per_million_processes: Spread | None
    cpu_per_million_signals: Spread | None
    happened: int
    missing: int | None
    lost_own_word: int | None
    resident: float | None
    highest: float | None
    ready_s: Spread | None
    first_s: Spread | None
    latency_s: float | None
    latency_p95_s: float | None
    events_per_cpu_s: float | None


def _cpu_per_million(runs: Sequence[Mapping[str, Any]], storm: str, what: str) -> Spread | None:
    return Spread.of(
        [
            run["storms"][storm]["cpu_s"] * 1e6 / run["storms"][storm][what]
            for run in runs
            if storm in run["storms"] and run["storms"][storm]["cpu_s"] is not None
        ]
    )


def _missing(runs: Sequence[Mapping[str, Any]]) -> tuple[int, int | None]:
    happened = 0
    missing: int | None = None
    for run in runs:
        seen = run.get("seen")
        if not seen:
            continue
        for key, what, storms in (
            ("exits", "processes", (FORK, FORK_ONE, EXEC)),
            ("signals", "signals", (SIGNAL,)),
        ):
            truth = sum(run["storms"][storm][what] for storm in storms if storm in run["storms"])
            if seen[key] is not None and truth:
                happened += truth
                missing = (missing or 0) + truth - seen[key]
    return happened, missing


def _lost_own_word(runs: Sequence[Mapping[str, Any]]) -> int | None:
    told = [run["seen"]["lost"] for run in runs if run.get("seen")]
    if not told or None in told:
        return None
    return sum(sum(lost.values()) for lost in told)


def _rate(runs: Sequence[Mapping[str, Any]]) -> float | None:
    rates = [
        run["seen"]["events"] / run["working_cpu_s"]
        for run in runs
        if run.get("seen") and run["seen"]["events"] and run["working_cpu_s"] > 0
    ]
    return statistics.median(rates) if rates else None


def peer_figures(data: Mapping[str, Any], name: str) -> PeerFigures:
    """Work out one peer's row."""
    runs = [run for run in data["runs"] if run["peer"] == name]
    quiet = [storm for storm in STORMS if storm not in data["too_noisy"]]
    starts = [start for start in data["starts"] if start["peer"] == name]
    spreads = {storm: Spread.of(slow_downs(data["runs"], name, storm)) for storm in quiet}
    latencies = sorted(value for start in starts for value in start["latencies_s"])
    watched = [run for run in runs if "resident" in run]
    highest = [run["highest"] for run in watched] + [start["highest"] for start in starts]
    happened, missing = _missing(runs)
    return PeerFigures(
        slow_down={storm: spread for storm, spread in spreads.items() if spread is not None},
        work=Spread.of(slow_downs(data["runs"], name, FORK, _work_cpu_s)),
        cpu_per_million_processes=_cpu_per_million(runs, FORK, "processes"),
        cpu_per_million_signals=_cpu_per_million(runs, SIGNAL, "signals"),
        happened=happened,
        missing=missing,
        lost_own_word=_lost_own_word(runs),
        resident=statistics.median(run["resident"] for run in watched) if watched else None,
        highest=max(highest) if highest else None,
        ready_s=Spread.of([run["ready_s"] for run in watched]),
        first_s=Spread.of([start["first_s"] for start in starts]),
        latency_s=statistics.median(latencies) if latencies else None,
        latency_p95_s=latencies[int(len(latencies) * 0.95)] if latencies else None,
        events_per_cpu_s=_rate(watched),
    )
