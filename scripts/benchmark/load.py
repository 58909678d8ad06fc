"""How busy the machine is with other things."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path


def _times() -> tuple[int, int]:
    """Ticks of all processors so far: busy, and all."""
    words = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = words[3] + words[4]
    return sum(words) - idle, sum(words)


def busy_share(seconds: float) -> float:
    """Watch for some seconds; the share of the processors' time that was used."""
    busy, whole = _times()
    time.sleep(seconds)
    busy_after, whole_after = _times()
    return (busy_after - busy) / max(1, whole_after - whole)


def _ticks() -> dict[tuple[int, str], int]:
    used = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                text = Path(entry.path, "stat").read_text()
                comm, _, rest = text.partition("(")[2].rpartition(")")
                fields = rest.split()
                used[int(entry.name), comm] = int(fields[11]) + int(fields[12])
    return used


def busiest(number: int = 3) -> str:
    """The processes that run most right now, by name."""
    before = _ticks()
    time.sleep(1.0)
    used = {who: ticks - before.get(who, 0) for who, ticks in _ticks().items()}
    top = sorted(used, key=lambda who: used[who], reverse=True)[:number]
    named = [f"{comm}[{pid}]" for pid, comm in top if used[pid, comm] > 0]
    return ", ".join(named) or "short-lived processes"
