"""What every JSON object zomtrace writes has in common."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from tracer.model.events import HookState
from tracer.model.signals import signal_name
from tracer.model.target import Container
from tracer.report.escape import safe_text

JsonObject = dict[str, Any]

_LINE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_AS_THEY_ARE = frozenset({type(None), bool, int})


def clean_object(value: Mapping[str, Any]) -> JsonObject:
    """Copy an object so that it holds JSON types and safe strings only.

    Enumerations become their value, NaN and infinities (which JSON has no word
    for) null, keys strings; strings go through
    :func:`tracer.report.escape.safe_text`.
    """
    return {
        _clean_key(key): item if item.__class__ in _AS_THEY_ARE else _clean(item)
        for key, item in value.items()
    }


def dump_object(value: JsonObject, *, indent: int | None = None) -> str:
    """Write a cleaned object: keys in their order, no NaN, no line's end."""
    if indent is None:
        return _LINE.encode(value)
    return json.dumps(
        value, ensure_ascii=False, allow_nan=False, indent=indent, separators=(",", ": ")
    )


def dump_string(value: str) -> str:
    """Write safe text as a string, quotes included."""
    return _LINE.encode(value)


def hook_object(hook: HookState) -> JsonObject:
    """Describe one row of the hook plan."""
    return {"name": hook.name, "source": hook.source, "degrades": hook.degrades}


def container_object(container: Container) -> JsonObject:
    """Describe a container."""
    return {
        "id": container.id,
        "name": container.name,
        "runtime": container.runtime,
        "pod": container.pod,
        "owner": container.owner,
        "init_host_pid": container.init_host_pid,
        "init_start_boot_ns": container.init_start_boot_ns,
        "pidns_inum": container.pidns_inum,
        "has_own_pidns": container.has_own_pidns,
        "cgroup_path": container.cgroup_path,
        "cgroup_id": container.cgroup_id,
        "stop_signal": signal_name(container.stop_signo),
    }


@lru_cache(1024, typed=True)
def _clean_key(key: object) -> str:
    return safe_text(str(key))


def _clean(value: Any) -> Any:
    if value.__class__ in _AS_THEY_ARE:
        return value
    if isinstance(value, str):
        return safe_text(str(value))
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return int(value)
    if isinstance(value, bytes):
        return safe_text(value)
    if isinstance(value, Mapping):
        return clean_object(value)
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {
            field.name: _clean(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    raise TypeError(f"a {type(value).__name__} has no JSON form")
