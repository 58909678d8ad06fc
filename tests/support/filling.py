"""A container that fills its pids limit, traced."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.adopted import AdoptedContainer, adopted
from tests.support.runc import Runc
from tests.support.waiting import wait_for
from tests.support.workloads import workload_files
from tests.support.zomtrace_process import Json, Zomtrace


@contextmanager
def filling(runc: Runc, *args: str, limit: int) -> Iterator[tuple[AdoptedContainer, Zomtrace]]:
    """A container with a pids limit, and zomtrace on it, attached."""
    runc.add_files(workload_files("fill"))
    with adopted(runc, ["fill", *args], resources={"pids": {"limit": limit}}) as container:
        container.wait_journal("ready")
        with Zomtrace("-c", container.id, "--min-zombie", "60") as trace:
            trace.wait_attached()
            trace.wait_line(lambda line: reading(line) is not None, "a first reading")
            yield container, trace


def reading(line: Json, depth: int = 0) -> Json | None:
    """The innermost level of a reading of the pids controller."""
    if line["kind"] != "observation" or line["values"].get("controller") != "pids":
        return None
    level: Json = line["values"]["levels"][depth]
    return level


def fill_up(container: AdoptedContainer, trace: Zomtrace) -> None:
    """Have it go on, and wait until a reading shows the refusal."""
    os.kill(container.pid, signal.SIGUSR1)
    wait_for(lambda: sum(line[0] == "ready" for line in container.journal) == 2, "second round")
    trace.wait_line(
        lambda line: bool((level := reading(line)) and level["refused"]), "the refusal is read"
    )


def end(container: AdoptedContainer, trace: Zomtrace) -> None:
    """Stop the container."""
    os.kill(container.pid, signal.SIGTERM)
    container.reap()
