"""BPF maps and program counters by file descriptor, through libbpf."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from tracer.errors import BpfUnavailableError
from tracer.kernel.btf import libbpf

_ENTRIES_AT_ONCE = 4096
"""More than any bucket of a hash holds; one that does not fit ends a lookup."""

_PAGE = os.sysconf("SC_PAGESIZE")
"""More than any array here takes."""


@dataclass(frozen=True)
class BpfMap:
    """A map that was made elsewhere and whose descriptor we were given.

    Args:
        name: As in the C sources; for messages.
        fd: Descriptor; owned by the creator of this object.
        key_size: Bytes.
        value_size: Bytes, of one CPU's value in a per-CPU map.
        max_entries: Capacity; for a ring its size in bytes.
    """

    name: str
    fd: int
    key_size: int
    value_size: int
    max_entries: int

    def update(self, key: bytes, value: bytes) -> None:
        """Set one element.

        Raises:
            BpfUnavailableError: The map is full.
        """
        if libbpf().bpf_map_update_elem(self.fd, key, value, ctypes.c_uint64(0)):
            code = ctypes.get_errno()
            hint = None
            if code == errno.E2BIG:
                hint = f"at most {self.max_entries} can be traced at once; use --all"
            raise BpfUnavailableError(
                f"BPF map {self.name} cannot be written: {os.strerror(code)}", hint=hint
            )

    def delete(self, key: bytes) -> bool:
        """Remove one element; whether it was there."""
        return int(libbpf().bpf_map_delete_elem(self.fd, key)) == 0

    def delete_each(self, keys: bytes) -> list[int]:
        """Remove elements of a hash, as many as can be with one system call.

        Args:
            keys: One behind the other.

        Returns:
            Which of them, by position, were not there, or could not be removed.

        Raises:
            OSError: The kernel cannot (BPF_MAP_DELETE_BATCH is there since 5.6).

        Source:
            generic_map_delete_batch(): ends at the first key that is not there, and
            says how many it has removed by then.
        """
        number = len(keys) // self.key_size
        absent = []
        done = 0
        buffer = (ctypes.c_char * len(keys)).from_buffer_copy(keys)
        while done < number:
            count = ctypes.c_uint32(number - done)
            rest = ctypes.c_void_p(ctypes.addressof(buffer) + done * self.key_size)
            failed = libbpf().bpf_map_delete_batch(self.fd, rest, ctypes.byref(count), None)
            if failed:
                code = ctypes.get_errno()
                if code == errno.EINVAL:
                    raise OSError(code, f"BPF map {self.name}: {os.strerror(code)}")
                done += min(count.value, number - done - 1)
                absent.append(done)
                done += 1
            else:
                done = number
        return absent

    def entries(self) -> tuple[bytes, bytes]:
        """Read a hash with few system calls: its keys, and its values in the same order.

        What is changed meanwhile may be missing or as it was. Not for a trace that goes
        on: while the kernel walks the table, kprobes may not be run on that CPU
        (bpf/folded.c).

        Raises:
            OSError: The kernel cannot (BPF_MAP_LOOKUP_BATCH is there since 5.6).
        """
        keys, values = bytearray(), bytearray()
        room = min(self.max_entries, _ENTRIES_AT_ONCE)
        some_keys = ctypes.create_string_buffer(room * self.key_size)
        some_values = ctypes.create_string_buffer(room * self.value_size)
        place = ctypes.create_string_buffer(max(self.key_size, 8))
        since = None
        while True:
            count = ctypes.c_uint32(room)
            failed = libbpf().bpf_map_lookup_batch(
                self.fd, since, place, some_keys, some_values, ctypes.byref(count), None
            )
            code = ctypes.get_errno() if failed else 0
            if code not in (0, errno.ENOENT):
                raise OSError(code, f"BPF map {self.name}: {os.strerror(code)}")
            keys += some_keys.raw[: count.value * self.key_size]
            values += some_values.raw[: count.value * self.value_size]
            if code:
                return bytes(keys), bytes(values)
            since = place

    def become(self, wanted: Iterable[bytes]) -> None:
        """Make it hold these keys and no others: first what is new, then away with the rest.

        Raises:
            BpfUnavailableError: The map is full.
        """
        keys = set(wanted)
        stale = set(self.keys()) - keys
        for key in keys:
            self.update(key, bytes(self.value_size))
        for key in stale:
            self.delete(key)

    def keys(self) -> Iterator[bytes]:
        """Walk the keys; do not change the map meanwhile."""
        following = ctypes.create_string_buffer(self.key_size)
        key = None
        while libbpf().bpf_map_get_next_key(self.fd, key, following) == 0:
            key = following.raw
            yield key

    @cached_property
    def memory(self) -> mmap.mmap:
        """The elements of an array, as the kernel has them: no system call is needed.

        Raises:
            OSError: It was made without BPF_F_MMAPABLE.
        """
        return mmap.mmap(self.fd, _PAGE)

    def unmap(self) -> None:
        """Give :attr:`memory` back, which keeps the map alive; may be called twice."""
        if "memory" in self.__dict__:
            self.memory.close()


class _MapInfo(ctypes.Structure):
    """The head of struct bpf_map_info (include/uapi/linux/bpf.h)."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("key_size", ctypes.c_uint32),
        ("value_size", ctypes.c_uint32),
        ("max_entries", ctypes.c_uint32),
        ("map_flags", ctypes.c_uint32),
    )


@dataclass(frozen=True, slots=True)
class MapShape:
    """What a map is made with, as struct bpf_map_info has it.

    Args:
        kind: enum bpf_map_type.
        key_size: Bytes.
        value_size: Bytes.
        max_entries: Capacity; for a ring its size in bytes.
        flags: BPF_F_*.
    """

    kind: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int


def map_shape(fd: int) -> MapShape:
    """Read what a map was made with.

    Raises:
        OSError: It is no map.
    """
    info = _MapInfo()
    length = ctypes.c_uint32(ctypes.sizeof(info))
    if libbpf().bpf_obj_get_info_by_fd(fd, ctypes.byref(info), ctypes.byref(length)):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return MapShape(info.type, info.key_size, info.value_size, info.max_entries, info.map_flags)


class ProgramInfo(ctypes.Structure):
    """The head of struct bpf_prog_info (include/uapi/linux/bpf.h)."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("before_run_time", ctypes.c_uint64 * 23),
        ("run_time_ns", ctypes.c_uint64),
        ("run_cnt", ctypes.c_uint64),
        ("recursion_misses", ctypes.c_uint64),
    )


def program_misses(fd: int) -> int:
    """How often the kernel skipped a program because it was running already.

    An interrupt that meets the same hook on the same CPU runs no program. 0 on
    kernels that neither skip nor count.
    """
    info = ProgramInfo()
    length = ctypes.c_uint32(ctypes.sizeof(info))
    if libbpf().bpf_obj_get_info_by_fd(fd, ctypes.byref(info), ctypes.byref(length)):
        return 0
    return int(info.recursion_misses)
