"""Untrusted JSON converted into our own types, every field checked.

A field's type is what its dataclass says. Whatever is not of it, too long or too deep
is a ``TypeError`` or ``ValueError`` that names the field, never an object that breaks
somewhere else.
"""

from __future__ import annotations

import json
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

_T = TypeVar("_T")
_Reader = Callable[[Any, str], Any]

MAX_BOOT_NS = 1 << 61
"""73 years: added to a date it is still an integer of Arrow's."""
_MAX_INTEGER = 1 << 64
MAX_TEXT = 1 << 16
_MAX_DEPTH = 8
_BOUNDS: dict[str, tuple[int, int]] = {
    "ns": (-MAX_BOOT_NS, MAX_BOOT_NS),
    "boot_ns": (0, MAX_BOOT_NS),
    "utc_offset_ns": (-MAX_BOOT_NS, 5 * 10**18),
    "unix_ns": (0, 5 * 10**18),
    "pid": (0, (1 << 32) - 1),
    "pids": (0, (1 << 32) - 1),
    "tid": (0, (1 << 32) - 1),
    "inum": (0, (1 << 32) - 1),
    "inums": (0, (1 << 32) - 1),
    "signo": (0, 64),
    "s": (-(10**9), 10**9),
}
"""By the last words of a field's name, which say what it is."""


def parse_object(text: str | bytes) -> dict[str, Any]:
    """Parse one JSON object.

    Raises:
        ValueError: It is none, nested too deep, or holds what JSON has no word for.
    """
    try:
        raw = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(raw, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004  as for every other bad text
    return raw


def build(kind: type[_T], raw: object, where: str = "") -> _T:
    """Make a dataclass of an object.

    Fields are matched by name: one that a newer version added is passed over, one that
    an older version did not have takes its default.

    Args:
        kind: The dataclass.
        raw: What was parsed.
        where: What it is, for messages.

    Raises:
        KeyError: A field is missing.
        TypeError: A field is of another type.
        ValueError: A value is out of bounds.
    """
    value: _T = _reader(kind)(raw, where or kind.__name__)  # type: ignore[arg-type]  # types are hashable
    return value


def fit(value: Any, name: str = "") -> Any:
    """Make a value one that :func:`build` takes in a field of such a name.

    Texts are cut and numbers brought within their bounds: a long name that a user chose,
    or an engine that answers nonsense, must not make the capture unreadable.
    """
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if isinstance(value, Mapping):
        return {key: fit(item, str(key)) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return [fit(item, key) for key, item in zip(value._fields, value, strict=True)]
    if isinstance(value, list | tuple):
        return [fit(item, name) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        least, most = _bounds_of(name) or (-_MAX_INTEGER, _MAX_INTEGER)
        return min(max(value, least), most)
    return value


def check_text(value: object, where: str, most: int) -> str:
    """Check a text.

    Raises:
        TypeError: It is none.
        ValueError: It is too long.
    """
    if not isinstance(value, str):
        _refuse(value, where, "a string")
    if len(value) > most:
        raise ValueError(f"{where} has {len(value)} characters, more than {most}")
    return value


def check_integer(value: object, where: str, least: int, most: int) -> int:
    """Check an integer; a bool is none.

    Raises:
        TypeError: It is none.
        ValueError: It is out of bounds.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        _refuse(value, where, "an integer")
    if not least <= value <= most:
        raise ValueError(f"{where} is out of bounds")
    return value


def check_any(value: object, where: str, depth: int = _MAX_DEPTH) -> Any:
    """Check what may be anything JSON has, but neither deep nor huge.

    Raises:
        ValueError: It is.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return check_integer(value, where, -_MAX_INTEGER, _MAX_INTEGER)
    if isinstance(value, float):
        return _float(value, where)
    if isinstance(value, str):
        return check_text(value, where, MAX_TEXT)
    if depth == 0:
        raise ValueError(f"{where} is nested too deeply")
    if isinstance(value, list):
        return [check_any(item, where, depth - 1) for item in value]
    if isinstance(value, dict):
        return {
            str(key): check_any(item, f"{where}.{str(key)[:40]}", depth - 1)
            for key, item in value.items()
        }
    raise TypeError(f"{where} is not JSON")


@cache
def _reader(kind: Any) -> _Reader:
    """Make what reads a type, once."""
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        wanted = [each for each in arguments if each is not types.NoneType]
        if len(wanted) == 1:
            return _optional(_reader(wanted[0]))
    if origin is frozenset or (origin is tuple and arguments[1:] == (Ellipsis,)):
        return _list(origin, _reader(arguments[0]))
    if origin is Mapping or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return _mapping(_reader(arguments[1]))
    if isinstance(kind, type) and issubclass(kind, tuple):
        return _named_tuple(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enumeration(kind)
    if is_dataclass(kind):
        return _dataclass(kind)
    raise TypeError(f"a {kind} has no JSON form")


def _dataclass(kind: Any) -> _Reader:
    hints = get_type_hints(kind)
    members = [
        (
            each.name,
            _reader(hints[each.name]),
            each.default is MISSING and each.default_factory is MISSING,
        )
        for each in fields(kind)
    ]
    bounds = {name: found for name, _, _ in members if (found := _bounds_of(name)) is not None}

    def read(raw: Any, where: str) -> Any:
        if not isinstance(raw, dict):
            _refuse(raw, where, "an object")
        values = {}
        for name, reader, is_needed in members:
            if name in raw:
                values[name] = reader(raw[name], f"{where}.{name}")
                if name in bounds:
                    _check_bounds(values[name], f"{where}.{name}", *bounds[name])
            elif is_needed:
                raise KeyError(f"{where}.{name}")
        return kind(**values)

    return read


def _named_tuple(kind: Any) -> _Reader:
    hints = get_type_hints(kind)
    readers = [_reader(hints[name]) for name in kind._fields]

    def read(raw: Any, where: str) -> Any:
        if not isinstance(raw, list) or len(raw) != len(readers):
            _refuse(raw, where, f"a list of {len(readers)}")
        values = [reader(item, where) for reader, item in zip(readers, raw, strict=True)]
        for name, value in zip(kind._fields, values, strict=True):
            bounds = _bounds_of(name)
            if bounds is not None:
                _check_bounds(value, f"{where}.{name}", *bounds)
        return kind(*values)

    return read


def _enumeration(kind: Callable[[Any], Any]) -> _Reader:
    def read(raw: Any, where: str) -> Any:
        try:
            return kind(raw)
        except ValueError:
            raise ValueError(f"{where} is not a known value: {_brief(raw)}") from None

    return read


def _bounds_of(name: str) -> tuple[int, int] | None:
    words = name.split("_")
    ends = ("_".join(words[begin:]) for begin in range(len(words)))
    return next((_BOUNDS[end] for end in ends if end in _BOUNDS), None)


def _check_bounds(value: object, where: str, least: int, most: int) -> None:
    values = value if isinstance(value, tuple | frozenset) else (value,)
    for each in values:
        if isinstance(each, int | float) and not least <= each <= most:
            raise ValueError(f"{where} is out of bounds")


def _list(made: Callable[[Any], Any], reader: _Reader) -> _Reader:
    def read(raw: Any, where: str) -> Any:
        if not isinstance(raw, list):
            _refuse(raw, where, "a list")
        return made(reader(item, where) for item in raw)

    return read


def _mapping(reader: _Reader) -> _Reader:
    def read(raw: Any, where: str) -> Any:
        if not isinstance(raw, dict):
            _refuse(raw, where, "an object")
        return {key: reader(item, f"{where}.{key[:40]}") for key, item in raw.items()}

    return read


def _optional(reader: _Reader) -> _Reader:
    return lambda raw, where: None if raw is None else reader(raw, where)


def _integer(raw: object, where: str) -> int:
    return check_integer(raw, where, -_MAX_INTEGER, _MAX_INTEGER)


def _float(raw: object, where: str) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        _refuse(raw, where, "a number")
    if isinstance(raw, int):
        return _integer(raw, where)
    if not math.isfinite(raw):
        raise ValueError(f"{where} is out of bounds")
    return raw


def _boolean(raw: object, where: str) -> bool:
    if not isinstance(raw, bool):
        _refuse(raw, where, "true or false")
    return raw


_SIMPLE: dict[Any, _Reader] = {
    int: _integer,
    float: _float,
    bool: _boolean,
    str: lambda raw, where: check_text(raw, where, MAX_TEXT),
    Any: check_any,
}


def _refuse(value: object, where: str, wanted: str) -> NoReturn:
    raise TypeError(f"{where} must be {wanted}, not {_brief(value)}")


def _brief(value: object) -> str:
    """Show a value in a message, whatever it is."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value) if isinstance(value, str | float | bool) or value is None else "a number"
    return text if len(text) <= 40 else f"{text[:40]}..."


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
