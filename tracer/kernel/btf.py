"""What the running kernel's structures look like: its BTF, read by libbpf.

Everything that differs between kernels is asked here; nothing in this project
looks at a kernel's version.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Any, Self

from tracer.errors import BpfUnavailableError

BTF_PATH = "/sys/kernel/btf/vmlinux"


class Kind(IntEnum):
    """BTF_KIND_* (include/uapi/linux/btf.h)."""

    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


_MODIFIERS = frozenset({Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG})
_COMPOSITES = frozenset({Kind.STRUCT, Kind.UNION})


class _Type(ctypes.Structure):
    _fields_ = [
        ("name_off", ctypes.c_uint32),
        ("info", ctypes.c_uint32),
        ("size_or_type", ctypes.c_uint32),
    ]


class _Member(ctypes.Structure):
    _fields_ = [
        ("name_off", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("offset", ctypes.c_uint32),
    ]


class _Array(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_uint32),
        ("index_type", ctypes.c_uint32),
        ("nelems", ctypes.c_uint32),
    ]


class _Enum(ctypes.Structure):
    _fields_ = [("name_off", ctypes.c_uint32), ("val", ctypes.c_int32)]


class _Param(ctypes.Structure):
    _fields_ = [("name_off", ctypes.c_uint32), ("type", ctypes.c_uint32)]


@cache
def libbpf() -> ctypes.CDLL:
    """Load libbpf, which BCC's own package depends on.

    Raises:
        BpfUnavailableError: It is not installed.
    """
    try:
        library = ctypes.CDLL("libbpf.so.1", use_errno=True)
    except OSError as error:
        raise BpfUnavailableError(
            f"libbpf.so.1 cannot be loaded: {error}",
            hint="install libbpf1 (Debian, Ubuntu) or libbpf (Fedora)",
        ) from error
    library.btf__load_vmlinux_btf.restype = ctypes.c_void_p
    library.btf__find_by_name_kind.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint32]
    library.btf__type_by_id.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    library.btf__type_by_id.restype = ctypes.c_void_p
    library.btf__name_by_offset.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    library.btf__name_by_offset.restype = ctypes.c_char_p
    library.btf__resolve_size.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    library.btf__resolve_size.restype = ctypes.c_int64
    library.btf__free.argtypes = [ctypes.c_void_p]
    return library


def checked(result: int) -> int:
    """Return what libbpf 1.x (-errno) or libc (-1 and errno) gave, if it is no failure.

    Raises:
        OSError: It is negative.
    """
    if result < 0:
        code = ctypes.get_errno() or -result
        raise OSError(code, os.strerror(code))
    return result


@dataclass(frozen=True, slots=True)
class MemberLayout:
    """The offset of a member from the start of the outermost structure.

    Units:
        offset, size: bytes; size is 0 for a flexible array.
    """

    offset: int
    size: int


class KernelBtf:
    """The running kernel's BTF. Use as a context manager, or close it.

    Raises:
        BpfUnavailableError: The kernel was built without BTF.
    """

    def __init__(self) -> None:
        self._lib = libbpf()
        handle = self._lib.btf__load_vmlinux_btf()
        if not handle:
            raise BpfUnavailableError(
                f"this kernel has no type information ({BTF_PATH} cannot be read)",
                hint="run a kernel built with CONFIG_DEBUG_INFO_BTF=y; distribution kernels"
                " since Debian 11, Ubuntu 20.10 and Fedora 31 are",
            )
        self._handle: int | None = handle

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the parsed BTF back; may be called twice."""
        if self._handle is not None:
            self._lib.btf__free(self._handle)
            self._handle = None

    def struct_size(self, name: str) -> int | None:
        """Return a structure's size in bytes, or None if there is no such one."""
        type_id = self._find(name, Kind.STRUCT)
        return None if type_id is None else int(self._lib.btf__resolve_size(self._handle, type_id))

    def member(self, struct: str, path: str) -> MemberLayout | None:
        """Find a member, through nested and anonymous structures.

        Args:
            struct: The outermost structure's name.
            path: Member names joined by dots; an array stands for its first
                element when something follows it.

        Returns:
            Its layout, or None if the kernel has no such member.
        """
        type_id = self._find(struct, Kind.STRUCT)
        if type_id is None:
            return None
        offset = 0
        for name in path.split("."):
            found = self._member_of(self._element(type_id), name)
            if found is None:
                return None
            type_id, bits = found
            offset += bits // 8
        size = int(self._lib.btf__resolve_size(self._handle, type_id))
        return MemberLayout(offset=offset, size=max(size, 0))

    def enum_value(self, enum: str, item: str) -> int | None:
        """Return the number an enumeration gives to a name, or None."""
        type_id = self._find(enum, Kind.ENUM)
        if type_id is None:
            return None
        address, info, _ = self._type(type_id)
        for entry in self._entries(_Enum, address, info):
            if self._name(entry.name_off) == item:
                return int(entry.val)
        return None

    def tracepoint_params(self, name: str) -> tuple[str, ...] | None:
        """Return a raw tracepoint's parameter types, or None if it is not there.

        Returns:
            One string a parameter: ``task_struct *`` for a pointer to a
            structure, ``*`` for another pointer, else the base type's name.

        Source:
            The typedef btf_trace_NAME; its first parameter (void *) is the
            tracepoint's own data and left out.
        """
        type_id = self._find(f"btf_trace_{name}", Kind.TYPEDEF)
        if type_id is None:
            return None
        _, _, pointer = self._type(type_id)
        _, _, proto = self._type(pointer)
        address, info, _ = self._type(proto)
        params = self._entries(_Param, address, info)
        return tuple(self._spell(param.type) for param in params[1:])

    def has_typedef(self, name: str) -> bool:
        """Whether the kernel defines a type by this name."""
        return self._find(name, Kind.TYPEDEF) is not None

    def has_function(self, name: str) -> bool:
        """Whether the kernel has a function of this name that is not inlined away."""
        return self._find(name, Kind.FUNC) is not None

    def _spell(self, type_id: int) -> str:
        type_id = self._strip(type_id)
        _, info, target = self._type(type_id)
        if _kind(info) is Kind.PTR:
            target = self._strip(target)
            address, info, _ = self._type(target) if target else (0, 0, 0)
            if target and _kind(info) in {Kind.STRUCT, Kind.FWD}:
                name_off = _Type.from_address(address).name_off
                return f"{self._name(name_off)} *"
            return "*"
        address, _, _ = self._type(type_id)
        return self._name(_Type.from_address(address).name_off)

    def _find(self, name: str, kind: Kind) -> int | None:
        found = self._lib.btf__find_by_name_kind(self._handle, name.encode(), int(kind))
        return int(found) if found > 0 else None

    def _type(self, type_id: int) -> tuple[int, int, int]:
        address = int(self._lib.btf__type_by_id(self._handle, type_id))
        head = _Type.from_address(address)
        return address, int(head.info), int(head.size_or_type)

    def _strip(self, type_id: int) -> int:
        while type_id:
            _, info, target = self._type(type_id)
            if _kind(info) not in _MODIFIERS:
                break
            type_id = target
        return type_id

    def _element(self, type_id: int) -> int:
        type_id = self._strip(type_id)
        address, info, _ = self._type(type_id)
        while _kind(info) is Kind.ARRAY:
            type_id = self._strip(_Array.from_address(address + ctypes.sizeof(_Type)).type)
            address, info, _ = self._type(type_id)
        return type_id

    def _member_of(self, type_id: int, wanted: str) -> tuple[int, int] | None:
        """Return (type id, offset in bits) of a member, or None."""
        address, info, _ = self._type(type_id)
        if _kind(info) not in _COMPOSITES:
            return None
        bitfields = info >> 31
        for entry in self._entries(_Member, address, info):
            bits = entry.offset & 0xFFFFFF if bitfields else entry.offset
            name = self._name(entry.name_off)
            if name == wanted:
                return int(entry.type), int(bits)
            if not name:
                inner = self._member_of(self._strip(entry.type), wanted)
                if inner is not None:
                    return inner[0], inner[1] + int(bits)
        return None

    def _entries(self, of: type[ctypes.Structure], address: int, info: int) -> list[Any]:
        count = info & 0xFFFF
        return list((of * count).from_address(address + ctypes.sizeof(_Type)))

    def _name(self, offset: int) -> str:
        text = self._lib.btf__name_by_offset(self._handle, offset)
        return text.decode() if text else ""


def _kind(info: int) -> Kind:
    return Kind((info >> 24) & 0x1F)
