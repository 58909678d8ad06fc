"""What a Docker engine reports of containers, every field checked before it is used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tracer.containers.annotations import read_labels, read_signal
from tracer.containers.engine_http import UnfitAnswerError
from tracer.containers.found import FoundContainer

_MOST_TEXT = 4096
_MOST_NAME = 255
_MOST_NUMBER = 1 << 31
_ID = re.compile(r"[A-Za-z0-9_.-]{1,255}")


def read_listed(entry: Mapping[str, Any], address: str) -> FoundContainer:
    """Read an entry of a listing.

    Raises:
        UnfitAnswerError: Some field is not what it should be.
    """
    owner = read_labels(_texts(entry, "Labels"))
    names = entry.get("Names") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UnfitAnswerError("a container's Names are not a list of names")
    # Linked containers have names of the form /other/alias as well.
    plain = [name[: _MOST_NAME + 1].removeprefix("/") for name in names]
    return FoundContainer(
        id=_id(entry),
        names=(*owner.names, *(name for name in plain if "/" not in name)),
        runtime="docker",
        engine_address=address,
        state=_text(entry, "State") or "running",
        pod=owner.pod,
    )


def read_inspected(facts: Mapping[str, Any], address: str) -> FoundContainer:
    """Read the result of inspecting a container.

    Raises:
        UnfitAnswerError: Some field is not what it should be.
    """
    state, config = read_object(facts.get("State")), read_object(facts.get("Config") or {})
    owner = read_labels(_texts(config, "Labels"))
    # -1: for ever.
    timeout_s = _number(config, "StopTimeout", least=-1)
    return FoundContainer(
        id=_id(facts),
        names=(*owner.names, _text(facts, "Name")[: _MOST_NAME + 1].removeprefix("/")),
        runtime="docker",
        engine_address=address,
        state=_text(state, "Status") or "unknown",
        # 0: it has none.
        init_host_pid=_number(state, "Pid") or None,
        started_unix_s=_unix_s(_text(state, "StartedAt")),
        stop_signo=read_signal(_text(config, "StopSignal")[:32]),
        stop_timeout_s=None if timeout_s is None else float(timeout_s),
        pod=owner.pod,
    )


def read_objects(value: Any) -> list[dict[str, Any]]:
    """Take a list of objects.

    Raises:
        UnfitAnswerError: It is none.
    """
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise UnfitAnswerError("its answer is not that of a Docker engine")
    return value


def read_object(value: Any) -> dict[str, Any]:
    """Take an object.

    Raises:
        UnfitAnswerError: It is none.
    """
    if not isinstance(value, dict):
        raise UnfitAnswerError("its answer is not that of a Docker engine")
    return value


def _id(facts: Mapping[str, Any]) -> str:
    container_id = facts.get("Id")
    if not isinstance(container_id, str) or not _ID.fullmatch(container_id):
        raise UnfitAnswerError("a container's Id is not valid")
    return container_id


def _text(facts: Mapping[str, Any], key: str) -> str:
    value = facts.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UnfitAnswerError(f"a container's {key} is not a string")
    return value[:_MOST_TEXT].encode("utf-8", "backslashreplace").decode()


def _texts(facts: Mapping[str, Any], key: str) -> dict[str, str]:
    value = facts.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise UnfitAnswerError(f"a container's {key} are not strings")
    return {name: _text(value, name) for name in value}


def _number(facts: Mapping[str, Any], key: str, *, least: int = 0) -> int | None:
    value = facts.get(key)
    if value is None:
        return None
    # True is an int of Python's.
    if type(value) is not int or not least <= value < _MOST_NUMBER:
        raise UnfitAnswerError(f"a container's {key} is out of range")
    return value


def _unix_s(text: str) -> float | None:
    # RFC 3339 with up to nine decimals; a container never started has year 1.
    if text.startswith("0001-"):
        return None
    try:
        return datetime.fromisoformat(text[:64]).timestamp()
    except (ValueError, OverflowError):
        return None
