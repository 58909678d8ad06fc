"""A fork storm on the host, of which no trace of a container may tell."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.workloads import workload


class Storm:
    """Processes that fork and die as fast as they can."""

    def __init__(self, width: int) -> None:
        self._process = subprocess.Popen(
            [workload("storm"), str(width)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def end(self) -> int:
        """End it; how many processes there were."""
        self._process.terminate()
        output, _ = self._process.communicate(timeout=60)
        return int(output.split()[1])

    def close(self) -> None:
        """End it, if that was not done."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextmanager
def storm(width: int = 7) -> Iterator[Storm]:
    """Have a fork storm about."""
    one = Storm(width)
    try:
        yield one
    finally:
        one.close()
