"""What a Docker engine says it was asked to do: evidence of who wanted a stop."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tracer.containers.docker import DockerEngine, EngineUnreachableError
from tracer.containers.engine_http import UnfitAnswerError
from tracer.containers.init_process import InitProcess
from tracer.errors import RuntimeUnreachableError
from tracer.model.signals import signal_name
from tracer.model.target import Container
from tracer.procfs.clock import boot_now_ns

SOURCE = "docker"
"""The ``source`` of the observations these become."""
ANSWER_S = 0.5
"""A trace is over when this is asked, and its report waits for the answer."""
_MOST_ACTION = 64
_MOST_DETAIL = 4096
_SIGNO = re.compile(r"[0-9]{1,2}")
_EXIT_CODE = re.compile(r"[0-9]{1,10}")


def read_engine_events(
    containers: Sequence[Container], since_unix_ns: int, *, within_s: float = ANSWER_S
) -> tuple[list[dict[str, Any]], list[RuntimeUnreachableError]]:
    """Ask the engines what happened to their containers since some moment.

    Engines keep the last 256 events only; on a busy one the oldest may be gone.

    Args:
        containers: Those of other runtimes are passed over.
        since_unix_ns: CLOCK_REALTIME, ns.
        within_s: How long all of them together may take.

    Returns:
        One object an event, JSON types only, by time: ``container_id``,
        ``time_unix_ns``, ``action`` (``kill``, ``die``, ``stop``, ``oom``,
        ``exec_create``, ...), ``detail`` (what follows the action: an exec's
        command, as it was given, secrets and all), ``signal`` (a name) and
        ``exit_code``; null where unknown. And which engines do not answer any more,
        or not for all of that time: requests an engine got before it was started
        is not known to it. (That is not seen where systemd listens for it.)
    """
    by_engine: dict[tuple[str, int | None], list[str]] = {}
    for container in containers:
        if container.runtime == "docker" and container.engine_address is not None:
            engine_key = (container.engine_address, container.owner_uid)
            by_engine.setdefault(engine_key, []).append(container.id)
    until_s = time.monotonic() + within_s
    until_unix_ns = time.time_ns()
    events: list[dict[str, Any]] = []
    failures: list[RuntimeUnreachableError] = []
    for (address, owner_uid), ids in by_engine.items():
        try:
            engine = DockerEngine(address, within_s=until_s - time.monotonic(), owner_uid=owner_uid)
            reported = engine.events(
                ids, since_unix_ns, until_unix_ns, within_s=until_s - time.monotonic()
            )
            described = [_describe(event) for event in reported]
        except EngineUnreachableError as error:
            failures.append(error)
            continue
        except UnfitAnswerError as error:
            failures.append(EngineUnreachableError(address, str(error)))
            continue
        if _has_started_since(engine.listener_pid, since_unix_ns):
            failures.append(
                RuntimeUnreachableError(
                    f"the Docker engine at {address} was restarted during the trace; requests from "
                    "before that are unknown"
                )
            )
        # What it was not asked for is nothing of this trace.
        events += [
            event
            for event in described
            if event["container_id"] in ids
            and since_unix_ns <= event["time_unix_ns"] <= until_unix_ns
        ]
    return sorted(events, key=lambda event: event["time_unix_ns"]), failures


def _has_started_since(pid: int | None, since_unix_ns: int) -> bool:
    if pid is None:
        return False
    try:
        process = InitProcess(pid)
        try:
            start_boot_ns = process.status().start_boot_ns
        finally:
            process.close()
    except OSError:
        return False
    return time.time_ns() - (boot_now_ns() - start_boot_ns) > since_unix_ns


def _describe(event: Mapping[str, Any]) -> dict[str, Any]:
    actor = _object(event, "Actor")
    attributes = _object(actor, "Attributes")
    time_unix_ns = event.get("timeNano")
    if type(time_unix_ns) is not int:
        raise UnfitAnswerError("the timeNano of an event is not a time")
    action, _, detail = _text(event, "Action").partition(": ")
    signo, exit_code = _text(attributes, "signal"), _text(attributes, "exitCode")
    return {
        "container_id": _text(actor, "ID"),
        "time_unix_ns": time_unix_ns,
        "action": action[:_MOST_ACTION],
        "detail": detail[:_MOST_DETAIL].strip() or None,
        "signal": signal_name(int(signo)) if _SIGNO.fullmatch(signo) else None,
        "exit_code": int(exit_code) if _EXIT_CODE.fullmatch(exit_code) else None,
    }


def _object(facts: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = facts.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UnfitAnswerError(f"the {key} of an event is not an object")
    return value


def _text(facts: Mapping[str, Any], key: str) -> str:
    value = facts.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UnfitAnswerError(f"the {key} of an event is not a string")
    return value[: _MOST_ACTION + _MOST_DETAIL].encode("utf-8", "backslashreplace").decode()
