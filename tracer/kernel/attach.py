"""Attaches loaded programs. A descriptor is the attachment: closed, it is gone."""

from __future__ import annotations

import ctypes
import os
import platform
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

_SYS_MOUNT_API = {"fsopen": 430, "fsconfig": 431, "fsmount": 432}
"""The same numbers on every architecture; Linux 5.2."""
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


def attach(candidate: Candidate, program_fd: int) -> int:
    """Attach one program.

    Args:
        candidate: How and where.
        program_fd: The loaded program.

    Returns:
        The descriptor that keeps it attached; for an iterator the link from
        which readers are made.

    Raises:
        OSError: The kernel refuses.
    """
    if candidate.attach is Attach.RAW_TRACEPOINT:
        return checked(libbpf().bpf_raw_tracepoint_open(candidate.point.encode(), program_fd))
    if candidate.attach is Attach.ITERATOR:
        return checked(libbpf().bpf_link_create(program_fd, 0, BPF_TRACE_ITER, None))
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


def open_iterator(link_fd: int) -> int:
    """Start a pass of an iterator.

    Returns:
        A descriptor to read the pass's output from.

    Raises:
        OSError: The kernel refuses.
    """
    return checked(libbpf().bpf_iter_create(link_fd))


def tracepoint_id(point: str) -> int:
    """Return the number perf knows a tracepoint by.

    Args:
        point: ``GROUP/NAME``.

    Source:
        tracefs, by a mount of our own that nobody else sees: a container has none.

    Raises:
        OSError: There is no tracefs, or no such tracepoint.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *arguments: Any) -> int:
        number = ctypes.c_long(_SYS_MOUNT_API[name])
        return checked(libc.syscall(number, *arguments))

    context_fd = call("fsopen", b"tracefs", ctypes.c_uint(_FSOPEN_CLOEXEC))
    try:
        create = ctypes.c_uint(_FSCONFIG_CMD_CREATE)
        call("fsconfig", ctypes.c_int(context_fd), create, None, None, ctypes.c_int(0))
        mount_fd = call(
            "fsmount", ctypes.c_int(context_fd), ctypes.c_uint(_FSMOUNT_CLOEXEC), ctypes.c_uint(0)
        )
    finally:
        os.close(context_fd)
    try:
        id_fd = os.open(f"events/{point}/id", os.O_RDONLY | os.O_CLOEXEC, dir_fd=mount_fd)
    finally:
        os.close(mount_fd)
    with open(id_fd, encoding="ascii") as file:
        return int(file.read())


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
