"""The wire record's layout, read from the C header that defines it.

There is one definition, ``bpf/zt_event.h``; this module makes a numpy dtype and
integer constants of it.

Attributes:
    CONSTANTS: Every ``#define`` of the header that is a number, by name.
    RECORD: The dtype of one ``struct zt_event``; field names as in C.
    KIND_NAMES: Kind number to lower-case name, as losses are reported.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np

from tracer.errors import ZomtraceError

_C_TYPES = {
    "unsigned long long": "u8",
    "long long": "i8",
    "unsigned int": "u4",
    "int": "i4",
    "unsigned char": "u1",
    "char": "S",
}

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_DEFINE = re.compile(r"^#define\s+(\w+)[ \t]+(.+?)\s*$", re.MULTILINE)
_STRUCT = re.compile(r"struct\s+zt_event\s*\{(.*?)\n\};", re.DOTALL)
_MEMBER = re.compile(r"^(?P<type>[a-z ]+?)\s+(?P<name>\w+)(?P<dims>(?:\[\w+\])*)$")
_SHIFT = re.compile(r"^\((\d+)u?\s*<<\s*(\d+)\)$")


@cache
def bpf_directory() -> Path:
    """Find the C sources: in the wheel beside the package, else in the checkout.

    Raises:
        ZomtraceError: The installation is broken.
    """
    package = Path(__file__).resolve().parent.parent
    for directory in (package / "_bpf", package.parent / "bpf"):
        if (directory / "zt_event.h").is_file():
            return directory
    raise ZomtraceError(
        f"the BPF sources are missing beside {package}", hint="install zomtrace again"
    )


def parse_constants(header: str) -> dict[str, int]:
    r"""Read the header's numeric ``#define`` lines.

    >>> parse_constants("#define A 3\n#define B (1u << 4)\n#define C\n")
    {'A': 3, 'B': 16}
    """
    constants = {}
    for name, text in _DEFINE.findall(_COMMENT.sub("", header)):
        shift = _SHIFT.match(text)
        if shift:
            constants[name] = int(shift[1]) << int(shift[2])
        elif text.isdecimal():
            constants[name] = int(text)
    return constants


def parse_record(header: str) -> np.dtype[np.void]:
    """Make the dtype of ``struct zt_event``.

    Raises:
        ZomtraceError: The header holds something this reader does not know.
    """
    constants = parse_constants(header)
    body = _STRUCT.search(_COMMENT.sub("", header))
    if body is None:
        raise ZomtraceError("zt_event.h defines no struct zt_event")
    fields: list[tuple[str, str] | tuple[str, str, tuple[int, ...]]] = []
    for statement in body[1].split(";"):
        text = " ".join(statement.split())
        if not text:
            continue
        member = _MEMBER.match(text)
        code = _C_TYPES.get(member["type"]) if member else None
        if member is None or code is None:
            raise ZomtraceError(f"zt_event.h: cannot read the member {text!r}")
        dims = tuple(
            constants[d] if d in constants else int(d) for d in re.findall(r"\w+", member["dims"])
        )
        if code == "S":
            code, dims = f"S{dims[-1]}", dims[:-1]
        fields.append((member["name"], code, dims) if dims else (member["name"], code))
    return np.dtype(fields, align=True)


_HEADER = (bpf_directory() / "zt_event.h").read_text()
CONSTANTS = parse_constants(_HEADER)
RECORD = parse_record(_HEADER)
KIND_NAMES = {
    number: name.removeprefix("ZT_KIND_").lower()
    for name, number in CONSTANTS.items()
    if name.startswith("ZT_KIND_") and name != "ZT_KIND_COUNT"
}
