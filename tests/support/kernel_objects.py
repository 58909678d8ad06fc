"""BPF objects and who holds them."""

from __future__ import annotations

import ctypes
import os
import platform
from contextlib import suppress
from pathlib import Path

_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
_GET_FD_BY_ID = {"prog_id": 13, "map_id": 14, "link_id": 30}
_LIBC = ctypes.CDLL(None, use_errno=True)


def bpf_objects(pid: int) -> set[tuple[str, int]]:
    """The BPF programs, maps and links a process holds: (kind of id, id)."""
    held = set()
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        with suppress(FileNotFoundError):
            for line in info.read_text().splitlines():
                key, _, value = line.partition(":")
                if key in _GET_FD_BY_ID:
                    held.add((key, int(value)))
    return held


def is_there(kind: str, number: int) -> bool:
    """Whether a BPF object of this id exists in the kernel."""
    attributes = (ctypes.c_uint32 * 32)(number)
    fd = _LIBC.syscall(_BPF, _GET_FD_BY_ID[kind], attributes, ctypes.sizeof(attributes))
    if fd < 0:
        return False
    os.close(fd)
    return True


def children(pid: int) -> list[int]:
    """The children of a process."""
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
