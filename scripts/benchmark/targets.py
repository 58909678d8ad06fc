"""What zomtrace sets out to reach, and whether it did in a run."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmark.figures import PeerFigures, Spread, peer_figures
from benchmark.peers import FORK, FORK_ONE, SIGNAL

_SLOW_DOWNS = (
    ("zt-other", "fork storm of the host, tracing another container", 1.02),
    ("zt-container", "fork storm in the container that is traced", 1.10),
    ("zt-all", "fork storm, tracing the host", 1.05),
    ("zt-record", "fork storm, recording the host", 1.05),
)
_SIGNAL_SLOW_DOWN = 1.3
_CPU_SHARES = (("zt-record", 0.15), ("zt-all", 0.2), ("zt-container", 1.0), ("zt-json", 1.0))
"""Of exitsnoop's processor time for as many processes."""
_ATTACHED_S = 0.5
_HELP_S = 0.15
_IDLE_SHARE = 0.002
_RESIDENT_MB = 100
_BPF_PEERS = ("exitsnoop", "bpftrace-exit")


@dataclass(frozen=True)
class Target:
    """One target.

    Args:
        text: What is wanted.
        reached: What was measured, in words; None when it was not.
        is_met: Whether that is enough.
    """

    text: str
    reached: str | None
    is_met: bool

    @property
    def verdict(self) -> str:
        """``met``, ``missed`` or ``not measured``."""
        if self.reached is None:
            return "not measured"
        return "met" if self.is_met else "missed"


def targets(data: Mapping[str, Any]) -> list[Target]:
    """Compare a run with every target."""
    return [*_speed(data), *_losses(data), *_footprint(data)]


def _limit(text: str, value: float | None, bound: float, form: str) -> Target:
    reached = None if value is None else form.format(value)
    return Target(text, reached, value is not None and value <= bound)


def _speed(data: Mapping[str, Any]) -> Iterator[Target]:
    for peer, text, bound in _SLOW_DOWNS:
        for storm, how in ((FORK, "all processors busy"), (FORK_ONE, "one processor free")):
            mine = peer_figures(data, peer).slow_down.get(storm)
            yield _limit(
                f"{text}, {how}: at most {bound}", mine.median if mine else None, bound, "{:.3f}"
            )
            if peer == "zt-all":
                yield from _below_peers(data, storm, mine)
    mine = peer_figures(data, "zt-all").slow_down.get(SIGNAL)
    yield _limit(
        f"signal storm, tracing the host: at most {_SIGNAL_SLOW_DOWN}",
        mine.median if mine else None, _SIGNAL_SLOW_DOWN, "{:.3f}",
    )  # fmt: skip
    exitsnoop = peer_figures(data, "exitsnoop").cpu_per_million_processes
    for name, share in _CPU_SHARES:
        cpu_s = _whole_cpu_per_million(data, name)
        reached = None
        if cpu_s is not None and exitsnoop is not None:
            reached = (
                f"{cpu_s:.1f} CPU-s against {exitsnoop.median:.1f}: {cpu_s / exitsnoop.median:.2f}"
            )
        yield Target(
            f"CPU per million processes, {name}: at most {share} of exitsnoop's",
            reached,
            cpu_s is not None and exitsnoop is not None and cpu_s <= share * exitsnoop.median,
        )


def _below_peers(data: Mapping[str, Any], storm: str, mine: Spread | None) -> Iterator[Target]:
    for name in _BPF_PEERS:
        theirs = peer_figures(data, name).slow_down.get(storm)
        yield Target(
            f"that is below {name}'s",
            f"{mine.median:.3f} against {theirs.median:.3f}" if mine and theirs else None,
            mine is not None and theirs is not None and mine.median <= theirs.median,
        )


def _whole_cpu_per_million(data: Mapping[str, Any], name: str) -> float | None:
    """Of the long storm, what its ending took included; else of the short ones."""
    for run in data["long"]:
        if run["peer"] == name:
            return float(run["all_cpu_s"] * 1e6 / run["processes"])
    short = peer_figures(data, name).cpu_per_million_processes
    return short.median if short else None


def _losses(data: Mapping[str, Any]) -> Iterator[Target]:
    for name in ("zt-all", "zt-record"):
        runs = [run for run in data["long"] if run["peer"] == name]
        reached = None
        lost = 0
        for run in runs:
            lost = sum(run["seen"]["lost"].values())
            if run["seen"]["exits"] is not None:
                lost = max(lost, run["processes"] - run["seen"]["exits"])
            reached = (
                f"{lost} lost of {run['processes']:,} processes in {run['seconds']:.0f} s"
                f" ({'counted' if run['seen']['exits'] is not None else 'its own count'})"
            )
        yield Target(
            f"a long storm on all processors, {name}: nothing lost",
            reached,
            bool(runs) and not lost,
        )
    tiny = data["tiny"]
    told = [
        f"{kind} {one['told']} reported + {one['lost']} lost of {one['happened']}"
        for kind, one in tiny.items()
    ]
    yield Target(
        "a tiny ring: what it lost is counted exactly",
        "; ".join(told) or None,
        all(one["told"] + one["lost"] == one["happened"] for one in tiny.values()) and bool(tiny),
    )


def _megabytes(count: float | None) -> float | None:
    return None if count is None else count / 1e6


def _footprint(data: Mapping[str, Any]) -> Iterator[Target]:
    everything = peer_figures(data, "zt-all")
    ready = everything.ready_s
    yield _limit(
        f"attached within {_ATTACHED_S} s", ready.median if ready else None, _ATTACHED_S, "{:.2f} s"
    )
    help_s = statistics.median(data["help_s"]) if data["help_s"] else None
    yield _limit(f"zomtrace --help within {_HELP_S} s", help_s, _HELP_S, "{:.3f} s")
    for name in ("zt-other", "zt-all"):
        share = data["idle"].get(name)
        yield Target(
            f"idle, {name}: under {_IDLE_SHARE:.1%} of a processor",
            None if share is None else f"{share:.2%}",
            share is not None and share < _IDLE_SHARE,
        )
    highest = _megabytes(everything.highest)
    yield _limit(
        f"resident once loaded: at most {_RESIDENT_MB} MB",
        _megabytes(everything.resident), _RESIDENT_MB,
        "{:.0f} MB" + (f", {highest:.0f} MB at most" if highest is not None else ""),
    )  # fmt: skip


def rows_of(data: Mapping[str, Any], names: list[str]) -> dict[str, PeerFigures]:
    """Every peer's figures, for those that were measured."""
    return {
        name: peer_figures(data, name)
        for name in names
        if any(run["peer"] == name for run in data["runs"])
        or any(start["peer"] == name for start in data["starts"])
    }
