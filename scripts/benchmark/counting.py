"""Counts in a tool's output what it has told of the workload."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

_FORKED, _EXECUTED = "zb-fork", "zb-exec"


@dataclass(frozen=True)
class Seen:
    """What a tool told of.

    Args:
        exits: Ends of the storms' processes, by comm; None where it is not known.
        signals: SIGUSR1 sent by the storms; None where the tool shows none.
        lost: What the tool itself says it lost, by kind; None where it cannot say.
        events: All events it told of, whosever; None where that is not known.
        kinds: Events of the workload by kind, where the tool tells all.
    """

    exits: int | None = None
    signals: int | None = None
    lost: dict[str, int] | None = None
    events: int | None = None
    kinds: dict[str, int] = field(default_factory=dict)


def _lines(path: Path, pattern: str) -> int:
    """Count the lines an extended regular expression matches: grep is the fastest there is."""
    done = subprocess.run(
        ["grep", "--text", "-E", "-c", "--", pattern, path],
        env={**os.environ, "LC_ALL": "C"}, stdout=subprocess.PIPE, check=False,
    )  # fmt: skip
    return int(done.stdout)


def _storm(before: str, after: str = "") -> str:
    return f"{before}({_FORKED}|{_EXECUTED}){after}"


def zomtrace_json(stdout: Path, _: Path) -> Seen:
    """``zomtrace --json``: a line an event, the report last."""
    events = 0
    kinds: Counter[str] = Counter()
    usr1 = exits = 0
    lost: dict[str, int] | None = None
    with stdout.open("rb") as file:
        for line in file:
            events += 1
            kind = line[9 : line.index(b'"', 9)].decode()
            if kind == "report":
                lost = json.loads(line)["lost"]
                continue
            if b'"comm":"zb-' not in line[:400]:
                continue
            kinds[kind] += 1
            if kind == "exit":
                exits += b'"comm":"zb-fork"' in line or b'"comm":"zb-exec"' in line
            elif kind == "signal":
                if b'"SIGUSR1"' in line and b'"comm":"zb-signal"' in line:
                    usr1 += 1 + int(json.loads(line)["repeats"])
    return Seen(exits, usr1, lost, events, dict(kinds))


def zomtrace_report(_: Path, output: Path) -> Seen:
    """``zomtrace --report``: it keeps no ordinary process; what it lost it says."""
    report = json.loads(output.read_text())
    return Seen(lost=report["lost"])


def zomtrace_capture(_: Path, output: Path) -> Seen:
    """``zomtrace record``: counted in the capture it wrote."""
    import numpy as np

    from tracer.capture.reader import CaptureReader
    from tracer.wire.layout import CONSTANTS

    events = exits = usr1 = 0
    lost: Counter[str] = Counter()
    with CaptureReader(output) as reader:
        for part in reader.read():
            if not isinstance(part, np.ndarray):
                lost.update(getattr(part, "lost", {}))
                continue
            events += len(part)
            storm = np.isin(part["comm"], [_FORKED.encode(), _EXECUTED.encode()])
            is_end = part["kind"] == CONSTANTS["ZT_KIND_EXIT"]
            is_end |= (part["kind"] == CONSTANTS["ZT_KIND_LIFETIME"]) & (part["exit_ns"] != 0)
            exits += int((storm & is_end).sum())
            sent = (part["kind"] == CONSTANTS["ZT_KIND_SIGNAL"]) & (part["sig"] == 10)
            told = sent & (part["comm"] == b"zb-signal")
            usr1 += int(told.sum()) + int(part["repeats"][told].sum())
    return Seen(exits, usr1, dict(lost), events)


def exitsnoop(stdout: Path, _: Path) -> Seen:
    """``PCOMM PID PPID TID AGE(s) EXIT_CODE``."""
    return Seen(exits=_lines(stdout, _storm("^", " ")), events=_lines(stdout, "^[^P]"))


def killsnoop(stdout: Path, _: Path) -> Seen:
    """``TIME PID COMM SIG TPID RESULT``."""
    return Seen(signals=_lines(stdout, " zb-signal +10 "))


def bpftrace_exits(stdout: Path, stderr: Path) -> Seen:
    """Lines of exits.bt; ``Lost N events`` where it lost."""
    return Seen(exits=_lines(stdout, _storm("^[0-9]+ ", " ")), lost=_bpftrace_lost(stdout, stderr))


def bpftrace_signals(stdout: Path, stderr: Path) -> Seen:
    """Lines of signals.bt."""
    return Seen(
        signals=_lines(stdout, "^[0-9]+ zb-signal 10 "), lost=_bpftrace_lost(stdout, stderr)
    )


def _bpftrace_lost(*files: Path) -> dict[str, int]:
    lost = 0
    for path in files:
        for match in re.finditer(rb"Lost (\d+) events", path.read_bytes()):
            lost += int(match[1])
    return {"events": lost} if lost else {}


def forkstat(stdout: Path, _: Path) -> Seen:
    """``Time exit PID status duration process``: of the short-lived it often has no name."""
    return Seen(exits=_lines(stdout, r" exit +[0-9]+ +0 .*(zb-|<unknown>)"))


def strace(stdout: Path, _: Path) -> Seen:
    """A line an exit. Nothing but the storms' children and workers exits with 0."""
    return Seen(exits=_lines(stdout, r"\+\+\+ exited with 0 \+\+\+"))


def perf_exits(stdout: Path, _: Path) -> Seen:
    """A line an event; ``LOST N events`` where it lost."""
    return Seen(exits=_lines(stdout, _storm('comm: "', '"')))


def perf_signals(stdout: Path, _: Path) -> Seen:
    """A line an event; the comm is the receiver's."""
    return Seen(signals=_lines(stdout, 'sig: 10, .*comm: "zb-signal"'))
