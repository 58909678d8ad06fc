"""zomtrace as a library: captures as pandas DataFrames.

>>> import tracer
>>> cap = tracer.open_capture("web.arrows")  # doctest: +SKIP

Importing it costs nothing; pandas is imported by the first capture opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracer.tables.capture import open_capture
    from tracer.tables.dataset import read_dataset

__all__ = ["open_capture", "read_dataset"]

_MODULES = {"open_capture": "tracer.tables.capture", "read_dataset": "tracer.tables.dataset"}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(module), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
