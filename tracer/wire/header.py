"""The C header that defines the wire record, and the numbers in it.

Attributes:
    CONSTANTS: Every ``#define`` of ``bpf/zt_event.h`` that is a number, by name.
    KIND_NAMES: Kind number to lower-case name, as losses are reported.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from tracer.errors import ZomtraceError

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_DEFINE = re.compile(r"^#define\s+(\w+)[ \t]+(.+?)\s*$", re.MULTILINE)
_SHIFT = re.compile(r"^\((\d+)u?\s*<<\s*(\d+)\)$")


@cache
def bpf_directory() -> Path:
    """Find the C sources: in the wheel next to the package, else in the checkout.

    Raises:
        ZomtraceError: The installation is broken.
    """
    package = Path(__file__).resolve().parent.parent
    for directory in (package / "_bpf", package.parent / "bpf"):
        if (directory / "zt_event.h").is_file():
            return directory
    raise ZomtraceError(
        f"the BPF sources are missing next to {package}", hint="install zomtrace again"
    )


@cache
def read_header() -> str:
    """Return the header's text without its comments."""
    return _COMMENT.sub("", (bpf_directory() / "zt_event.h").read_text())


def parse_constants(header: str) -> dict[str, int]:
    r"""Read the numeric ``#define`` lines of a header without comments.

    >>> parse_constants("#define A 3\n#define B (1u << 4)\n#define C\n")
    {'A': 3, 'B': 16}
    """
    constants = {}
    for name, text in _DEFINE.findall(header):
        shift = _SHIFT.match(text)
        if shift:
            constants[name] = int(shift[1]) << int(shift[2])
        elif text.isdecimal():
            constants[name] = int(text)
    return constants


CONSTANTS = parse_constants(read_header())
KIND_NAMES = {
    number: name.removeprefix("ZT_KIND_").lower()
    for name, number in CONSTANTS.items()
    if name.startswith("ZT_KIND_") and name != "ZT_KIND_COUNT"
}
