"""Compiled programs as data: taken from BCC once, given to the kernel without it."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from tracer.kernel.btf import checked, libbpf
from tracer.kernel.maps import MapShape

BPF_TRACE_ITER = 28

_INSTRUCTION_BYTES = 8
_LOAD_IMM64 = 0x18
_PSEUDO_MAP_FD = 1
_LICENSE = b"GPL"


@dataclass(frozen=True, slots=True)
class ProgramCode:
    """One compiled program.

    Args:
        kind: enum bpf_prog_type.
        code: Its instructions; where a map's descriptor goes is 0.
        maps: Number of an instruction to the name of the map it loads.
        attach_btf_id: For an iterator the kernel's BTF id of what it iterates; else 0.
    """

    kind: int
    code: bytes
    maps: Mapping[int, str]
    attach_btf_id: int = 0


@dataclass(frozen=True, slots=True)
class ProgramImage:
    """Everything that has to be given to one kernel to have the hooks in it.

    Args:
        maps: By name.
        programs: By C function.
    """

    maps: Mapping[str, MapShape]
    programs: Mapping[str, ProgramCode]

    def load(self) -> tuple[dict[str, int], dict[str, int]]:
        """Create the maps, load the programs.

        Returns:
            Descriptors of the programs and of the maps, by name.

        Raises:
            OSError: The kernel refuses; what was made until then is gone again.
        """
        made: list[int] = []
        try:
            maps = {name: _keep(made, _create_map(name, it)) for name, it in self.maps.items()}
            programs = {
                name: _keep(made, _load_program(name, it, maps))
                for name, it in self.programs.items()
            }
        except OSError:
            for fd in made:
                os.close(fd)
            raise
        return programs, maps


def take_code(kind: int, code: bytes, map_fds: Mapping[int, str]) -> ProgramCode:
    """Make a program that runs with this process's maps one that does with any.

    Args:
        kind: enum bpf_prog_type.
        code: Its instructions.
        map_fds: Descriptor to name of every map it may use.

    Raises:
        LookupError: It refers to something else than those maps.
    """
    neutral = bytearray(code)
    maps = {}
    for offset in range(0, len(code), _INSTRUCTION_BYTES):
        opcode, registers, _, immediate = struct.unpack_from("=BBhi", code, offset)
        source = registers >> 4
        if opcode != _LOAD_IMM64 or source == 0:
            continue
        if source != _PSEUDO_MAP_FD or immediate not in map_fds:
            raise LookupError(f"instruction {offset // _INSTRUCTION_BYTES} loads no known map")
        maps[offset // _INSTRUCTION_BYTES] = map_fds[immediate]
        struct.pack_into("=i", neutral, offset + 4, 0)
    return ProgramCode(kind, bytes(neutral), maps)


def iterator_btf_id(target: str) -> int:
    """The kernel's BTF id of an iterator.

    Raises:
        LookupError: It has no such iterator.
    """
    found = int(libbpf().libbpf_find_vmlinux_btf_id(target.encode(), BPF_TRACE_ITER))
    if found <= 0:
        raise LookupError(f"no iterator {target}")
    return found


class _LoadOptions(ctypes.Structure):
    """The head of struct bpf_prog_load_opts (libbpf 1.0, bpf.h)."""

    _fields_ = (
        ("size", ctypes.c_size_t),
        ("attempts", ctypes.c_int),
        ("expected_attach_type", ctypes.c_int),
        ("prog_btf_fd", ctypes.c_uint32),
        ("prog_flags", ctypes.c_uint32),
        ("prog_ifindex", ctypes.c_uint32),
        ("kern_version", ctypes.c_uint32),
        ("attach_btf_id", ctypes.c_uint32),
        ("attach_prog_fd", ctypes.c_uint32),
    )


class _MapOptions(ctypes.Structure):
    """The head of struct bpf_map_create_opts (libbpf 1.0, bpf.h)."""

    _fields_ = (
        ("size", ctypes.c_size_t),
        ("btf_fd", ctypes.c_uint32),
        ("btf_key_type_id", ctypes.c_uint32),
        ("btf_value_type_id", ctypes.c_uint32),
        ("btf_vmlinux_value_type_id", ctypes.c_uint32),
        ("inner_map_fd", ctypes.c_uint32),
        ("map_flags", ctypes.c_uint32),
    )


def _create_map(name: str, shape: MapShape) -> int:
    options = _MapOptions(size=ctypes.sizeof(_MapOptions), map_flags=shape.flags)
    return checked(
        libbpf().bpf_map_create(
            shape.kind,
            name.encode(),
            ctypes.c_uint32(shape.key_size),
            ctypes.c_uint32(shape.value_size),
            ctypes.c_uint32(shape.max_entries),
            ctypes.byref(options),
        )
    )


def _load_program(name: str, program: ProgramCode, map_fds: Mapping[str, int]) -> int:
    code = bytearray(program.code)
    for number, map_name in program.maps.items():
        struct.pack_into("=i", code, number * _INSTRUCTION_BYTES + 4, map_fds[map_name])
    options = _LoadOptions(size=ctypes.sizeof(_LoadOptions))
    if program.attach_btf_id:
        options.expected_attach_type = BPF_TRACE_ITER
        options.attach_btf_id = program.attach_btf_id
    return checked(
        libbpf().bpf_prog_load(
            program.kind,
            name.encode(),
            _LICENSE,
            bytes(code),
            ctypes.c_size_t(len(code) // _INSTRUCTION_BYTES),
            ctypes.byref(options),
        )
    )


def _keep(made: list[int], fd: int) -> int:
    made.append(fd)
    return fd
