"""How soon a tool shows something, on a terminal: after its start, and after the event."""

from __future__ import annotations

import os
import pty
import random
import re
import threading
import time
import tty
from dataclasses import dataclass

from benchmark.errors import PeerFailedError
from benchmark.peers import Peer, Setting
from benchmark.place import Place
from benchmark.tool import Tool
from benchmark.workload import Driver

_FIRST_WITHIN_S = 60.0
_PING_S = 0.005
_LAST_WITHIN_S = 2.0


@dataclass(frozen=True)
class Promptness:
    """How soon a tool shows something.

    Args:
        first_s: From its start to the first event on the terminal.
        latencies_s: From an event to its line.
        missed: Events whose line never came.
        highest: Resident bytes of its processes together, the highest seen.
    """

    first_s: float
    latencies_s: list[float]
    missed: int
    highest: int


class _Terminal:
    """The far end of a pseudo terminal: every line with the time it came."""

    def __init__(self, *, knows_names: bool) -> None:
        self._knows_names = knows_names
        self._master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self._lines: list[tuple[float, bytes]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def close(self) -> None:
        if self.slave >= 0:
            os.close(self.slave)
            self.slave = -1
        self._reader.join()
        os.close(self._master)

    def arrival(self, comm: str, pid: int) -> float | None:
        """When the line of a ping came."""
        name = comm if self._knows_names else str(pid)
        wanted = re.compile(rb"\b%s\b" % name.encode())
        for when, line in list(self._lines):
            if wanted.search(line):
                return when
        return None

    def _read(self) -> None:
        rest = b""
        while True:
            try:
                chunk = os.read(self._master, 1 << 16)
            except OSError:
                # EIO: nobody has the other end any more.
                return
            now = time.monotonic()
            *lines, rest = (rest + chunk).split(b"\n")
            self._lines += [(now, line) for line in lines]


def measure_promptness(
    peer: Peer, setting: Setting, driver: Driver, place: Place, pings: int
) -> Promptness:
    """Start a tool on a terminal and let single processes end.

    Raises:
        PeerFailedError: It ends, or shows nothing.
    """
    terminal = _Terminal(knows_names=peer.knows_names)
    try:
        with Tool(peer, setting, place, stdout=terminal.slave) as tool:
            first_s, highest = _first(tool, terminal, driver)
            sent = []
            # At no steady beat: some tools wake up at one.
            beat = random.Random(1)
            for _ in range(pings):
                sent.append(driver.ping())
                time.sleep(beat.uniform(0.02, 0.06))
            deadline = time.monotonic() + _LAST_WITHIN_S
            while terminal.arrival(*sent[-1][:2]) is None and time.monotonic() < deadline:
                time.sleep(0.01)
            arrivals = [(terminal.arrival(comm, pid), at_s) for comm, pid, at_s in sent]
            tool.end()
    finally:
        terminal.close()
    latencies = [came_s - at_s for came_s, at_s in arrivals if came_s is not None]
    return Promptness(first_s, latencies, pings - len(latencies), highest)


def _first(tool: Tool, terminal: _Terminal, driver: Driver) -> tuple[float, int]:
    highest = 0
    sent = []
    while time.monotonic() < tool.began_s + _FIRST_WITHIN_S:
        tool.check()
        sent.append(driver.ping())
        time.sleep(_PING_S)
        highest = max(highest, tool.memory().resident)
        # One that was early enough to be missed has no line: look at the last ones.
        for comm, pid, _ in sent[-100:]:
            came_s = terminal.arrival(comm, pid)
            if came_s is not None:
                return came_s - tool.began_s, highest
    raise PeerFailedError(f"nothing shown within {_FIRST_WITHIN_S:.0f} s: {tool.last_words()}")
