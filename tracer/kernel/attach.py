"""Attaches loaded programs. A descriptor is the attachment: closed, it is gone."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
from pathlib import Path
from typing import Any

from tracer.kernel.btf import checked, libbpf
from tracer.kernel.image import BPF_TRACE_ITER
from tracer.kernel.plan import KPROBE_PMU, Attach, Candidate

_SYS_PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
_PERF_FLAG_FD_CLOEXEC = 8
_PERF_EVENT_IOC_ENABLE = 0x2400
_PERF_EVENT_IOC_SET_BPF = 0x40042408
_PERF_ATTR_BYTES = 112
_PERF_TYPE_TRACEPOINT = 2
_KRETPROBE_BIT = 1
_READ_BYTES = 1 << 20

_SYS_MOUNT_API = {"fsopen": 430, "fsconfig": 431, "fsmount": 432}
"""The same numbers on every architecture; Linux 5.2."""
_TRACEFS = Path("/sys/kernel/tracing")
_FSOPEN_CLOEXEC = 1
_FSCONFIG_CMD_CREATE = 6
_FSMOUNT_CLOEXEC = 1


class _PerfEventAttr(ctypes.Structure):
    """The head of struct perf_event_attr (PERF_ATTR_SIZE_VER5)."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("config", ctypes.c_uint64),
        ("sample_period", ctypes.c_uint64),
        ("sample_type", ctypes.c_uint64),
        ("read_format", ctypes.c_uint64),
        ("flags", ctypes.c_uint64),
        ("wakeup_events", ctypes.c_uint32),
        ("bp_type", ctypes.c_uint32),
        ("kprobe_func", ctypes.c_uint64),
        ("probe_offset", ctypes.c_uint64),
        ("rest", ctypes.c_uint8 * (_PERF_ATTR_BYTES - 72)),
    )


class _IteratorOptions(ctypes.Structure):
    """The head of struct bpf_link_create_opts (libbpf 0.3, bpf.h)."""

    _fields_ = (
        ("size", ctypes.c_size_t),
        ("flags", ctypes.c_uint32),
        ("info", ctypes.c_void_p),
        ("info_bytes", ctypes.c_uint32),
    )


def attach(candidate: Candidate, program_fd: int, map_fd: int) -> int:
    """Attach one program.

    Args:
        candidate: How and where.
        program_fd: The loaded program.
        map_fd: The map whose elements ``iter:bpf_map_elem`` goes over.

    Returns:
        The descriptor that keeps it attached; for an iterator the link from
        which readers are made.

    Raises:
        OSError: The kernel refuses.
    """
    if candidate.attach is Attach.RAW_TRACEPOINT:
        return checked(libbpf().bpf_raw_tracepoint_open(candidate.point.encode(), program_fd))
    if candidate.attach is Attach.ITERATOR:
        return _link_iterator(program_fd, map_fd if candidate.point == "bpf_map_elem" else None)
    if candidate.attach is Attach.TRACEPOINT:
        return _attach_perf_event(
            program_fd, type=_PERF_TYPE_TRACEPOINT, config=tracepoint_id(candidate.point)
        )
    name = ctypes.create_string_buffer(candidate.point.encode())
    return _attach_perf_event(
        program_fd,
        type=int(KPROBE_PMU.read_text()),
        config=_KRETPROBE_BIT if candidate.attach is Attach.KRETPROBE else 0,
        kprobe_func=ctypes.addressof(name),
    )


def run_iterator(link_fd: int) -> bytearray:
    """Make one pass of an iterator, and return all that its program wrote.

    Raises:
        OSError: The kernel refuses.
    """
    chunks = []
    iterator_fd = checked(libbpf().bpf_iter_create(link_fd))
    try:
        while chunk := os.read(iterator_fd, _READ_BYTES):
            chunks.append(chunk)
    finally:
        os.close(iterator_fd)
    return bytearray().join(chunks)


def tracepoint_id(point: str) -> int:
    """Return the number perf knows a tracepoint by.

    Args:
        point: ``GROUP/NAME``.

    Source:
        tracefs, by a private mount that no other process sees: a container has none.
        Without CAP_SYS_ADMIN the one that is mounted.

    Raises:
        OSError: There is no tracefs, or no such tracepoint.
    """
    name = f"events/{point}/id"
    try:
        mount_fd = _mount_tracefs()
    except PermissionError as error:
        with contextlib.suppress(OSError):
            return int((_TRACEFS / name).read_text(encoding="ascii"))
        raise PermissionError(
            error.errno,
            f"CAP_SYS_ADMIN missing, or CAP_DAC_READ_SEARCH and a tracefs on {_TRACEFS}",
        ) from error
    try:
        id_fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=mount_fd)
    finally:
        os.close(mount_fd)
    with open(id_fd, encoding="ascii") as file:
        return int(file.read())


def _mount_tracefs() -> int:
    libc = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *arguments: Any) -> int:
        number = ctypes.c_long(_SYS_MOUNT_API[name])
        return checked(libc.syscall(number, *arguments))

    context_fd = call("fsopen", b"tracefs", ctypes.c_uint(_FSOPEN_CLOEXEC))
    try:
        create = ctypes.c_uint(_FSCONFIG_CMD_CREATE)
        call("fsconfig", ctypes.c_int(context_fd), create, None, None, ctypes.c_int(0))
        return call(
            "fsmount", ctypes.c_int(context_fd), ctypes.c_uint(_FSMOUNT_CLOEXEC), ctypes.c_uint(0)
        )
    finally:
        os.close(context_fd)


def _link_iterator(program_fd: int, map_fd: int | None) -> int:
    if map_fd is None:
        return checked(libbpf().bpf_link_create(program_fd, 0, BPF_TRACE_ITER, None))
    # union bpf_iter_link_info begins with the map's descriptor.
    info = ctypes.c_uint32(map_fd)
    options = _IteratorOptions(
        size=ctypes.sizeof(_IteratorOptions),
        info=ctypes.addressof(info),
        info_bytes=ctypes.sizeof(info),
    )
    return checked(libbpf().bpf_link_create(program_fd, 0, BPF_TRACE_ITER, ctypes.byref(options)))


def _attach_perf_event(program_fd: int, **attributes: int) -> int:
    """Open a perf event for a program: nothing to clean up in tracefs."""
    libc = ctypes.CDLL(None, use_errno=True)
    attr = _PerfEventAttr(size=_PERF_ATTR_BYTES, sample_period=1, wakeup_events=1, **attributes)
    every_process, one_cpu, no_group = -1, 0, -1
    event_fd = checked(
        libc.syscall(
            ctypes.c_long(_SYS_PERF_EVENT_OPEN[platform.machine()]),
            ctypes.byref(attr),
            ctypes.c_int(every_process),
            ctypes.c_int(one_cpu),
            ctypes.c_int(no_group),
            ctypes.c_ulong(_PERF_FLAG_FD_CLOEXEC),
        )
    )
    try:
        for request, argument in (
            (_PERF_EVENT_IOC_SET_BPF, program_fd),
            (_PERF_EVENT_IOC_ENABLE, 0),
        ):
            checked(libc.ioctl(event_fd, ctypes.c_ulong(request), ctypes.c_ulong(argument)))
    except OSError:
        os.close(event_fd)
        raise
    return event_fd
