"""Docker containers that run a workload, and what they wrote down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.dockerd import Dockerd
from tests.support.waiting import wait_for
from tests.support.zomtrace_process import STOP_COUNTS, Zomtrace

COUNTS = ("members", *STOP_COUNTS)


def start(docker: Dockerd, *args: str, name: str = "web", word: str = "ready") -> str:
    """``docker run -d --name NAME ARGS``; wait until it has written a word."""
    container = docker.run("--name", name, *args)
    wait_for(lambda: word in docker.cli("logs", container).split(), f"{name}: {word}")
    return container


def journal(docker: Dockerd, container: str) -> dict[str, list[list[int]]]:
    """What a container wrote down: word -> the numbers behind it, a line each."""
    lines: dict[str, list[list[int]]] = {}
    for line in docker.cli("logs", container).splitlines():
        word, *numbers = line.split()
        lines.setdefault(word, []).append([int(number) for number in numbers])
    return lines


@contextmanager
def tracing(docker: Dockerd, *args: str) -> Iterator[Zomtrace]:
    """``zomtrace ARGS`` on the test's engine, attached."""
    if "--min-zombie" not in args:
        # A slow machine makes zombies old that are not what the test is about.
        args = (*args, "--min-zombie", "600")
    with Zomtrace(*args, env=docker.env) as trace:
        yield trace.wait_attached()


def pick(record: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Some fields of a record, to compare at once."""
    return {key: record[key] for key in keys}


def counts(stop: dict[str, Any]) -> dict[str, int]:
    """A stop's counts, those that are 0 left out."""
    return {key: stop[key] for key in COUNTS if stop[key]}
