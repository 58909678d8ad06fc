"""What a Docker engine says it was asked to do: evidence of who wanted a stop."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from tracer.model.signals import signal_name
from tracer.model.target import Container

SOURCE = "docker"
"""The ``source`` of the observations these become."""


def read_engine_events(containers: Sequence[Container], since_unix_ns: int) -> list[dict[str, Any]]:
    """Ask the engines what happened to their containers since some moment.

    Engines keep the last 256 events only; on a busy one the oldest may be gone.

    Args:
        containers: Those of other runtimes are passed over.
        since_unix_ns: CLOCK_REALTIME, ns.

    Returns:
        One object an event, JSON types only, by time: ``container_id``,
        ``time_unix_ns``, ``action`` (``kill``, ``die``, ``stop``, ``oom``,
        ``exec_create``, ...), ``detail`` (what follows the action: an exec's
        command), ``signal`` (a name) and ``exit_code``; null where not told.

    Raises:
        RuntimeUnreachableError: An engine does not answer any more.
    """
    by_engine: dict[str, list[str]] = {}
    for container in containers:
        if container.runtime == "docker" and container.engine_address is not None:
            by_engine.setdefault(container.engine_address, []).append(container.id)
    if not by_engine:
        return []
    from tracer.containers.docker import DockerEngine

    until_unix_ns = time.time_ns()
    events = [
        _describe(event)
        for address, ids in by_engine.items()
        for event in DockerEngine(address).events(ids, since_unix_ns, until_unix_ns)
    ]
    return sorted(events, key=lambda event: event["time_unix_ns"])


def _describe(event: dict[str, Any]) -> dict[str, Any]:
    attributes = event.get("Actor", {}).get("Attributes") or {}
    action, _, detail = str(event.get("Action", "")).partition(": ")
    signo, exit_code = attributes.get("signal", ""), attributes.get("exitCode", "")
    return {
        "container_id": event.get("Actor", {}).get("ID"),
        "time_unix_ns": int(event.get("timeNano", 0)),
        "action": action,
        "detail": detail.strip() or None,
        "signal": signal_name(int(signo)) if signo.isdecimal() else None,
        "exit_code": int(exit_code) if exit_code.isdecimal() else None,
    }
