"""What every JSON object zomtrace writes has in common."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from tracer.model.events import HookState
from tracer.model.signals import signal_name
from tracer.model.target import Container
from tracer.report.escape import safe_text

JsonObject = dict[str, Any]


def clean_object(value: Mapping[str, Any]) -> JsonObject:
    """Copy an object so that it holds JSON types and safe strings only.

    Enumerations become their value, NaN and infinities (which JSON has no word
    for) null, keys strings; strings go through
    :func:`tracer.report.escape.safe_text`.
    """
    return {safe_text(str(key)): _clean(item) for key, item in value.items()}


def dump_object(value: JsonObject, *, indent: int | None = None) -> str:
    """Write a cleaned object: keys in their order, no NaN, no line's end."""
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(
        value, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators
    )


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
        "init_host_pid": container.init_host_pid,
        "init_start_boot_ns": container.init_start_boot_ns,
        "pidns_inum": container.pidns_inum,
        "has_own_pidns": container.has_own_pidns,
        "cgroup_path": container.cgroup_path,
        "cgroup_id": container.cgroup_id,
        "stop_signal": signal_name(container.stop_signo),
    }


def _clean(value: Any) -> Any:
    if value is None or value is True or value is False or type(value) is int:
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
    raise TypeError(f"no JSON for a {type(value).__name__}")
