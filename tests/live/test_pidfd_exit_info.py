"""What the kernel keeps for a pidfd after the reap is what the hooks told of the same process."""

from __future__ import annotations

import errno
import fcntl
import os
import struct

import numpy as np
import pytest

from tracer.kernel.source import BpfSource
from tracer.model.target import KernelFilter
from tracer.wire.layout import CONSTANTS

pytestmark = pytest.mark.live

_CGROUP_ID, _EXIT = 1 << 2, 1 << 3
"""PIDFD_INFO_CGROUPID, PIDFD_INFO_EXIT"""
_INFO = struct.Struct("=QQ11Ii")
"""struct pidfd_info as of Linux 6.15, its first 64 bytes."""
_GET_INFO = (3 << 30) | (_INFO.size << 16) | (0xFF << 8) | 11
"""_IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info)"""

_SCRIPTS = ["exit 0", "exit 7", "exit 255", "kill -9 $$", "kill -15 $$", "kill -11 $$"] * 5


def _info_after_reap(pidfd: int) -> tuple[int, int]:
    """The wait status and the cgroup's id."""
    buffer = bytearray(_INFO.pack(_CGROUP_ID | _EXIT, *[0] * 13))
    try:
        fcntl.ioctl(pidfd, _GET_INFO, buffer)
    except OSError as error:
        if error.errno in (errno.ENOTTY, errno.EINVAL):
            pytest.skip("this kernel has no PIDFD_GET_INFO")
        raise
    mask, cgroup_id, *_, status = _INFO.unpack(buffer)
    if not mask & _EXIT:
        pytest.skip("this kernel has no PIDFD_INFO_EXIT (before 6.15)")
    assert mask & _CGROUP_ID
    return status, cgroup_id


@pytest.mark.parametrize("min_zombie_ns", [1_000_000_000, None], ids=["folded", "unfolded"])
def test_status_and_cgroup_are_those_the_kernel_kept(min_zombie_ns: int | None) -> None:
    kept: dict[int, tuple[int, int]] = {}
    with BpfSource(everything=True) as source:
        source.set_filter(KernelFilter(everything=True))
        if min_zombie_ns is not None:
            source.fold(min_zombie_ns)
        source.attach()
        source.seed()
        for script in _SCRIPTS:
            pid = os.posix_spawn("/bin/sh", ["sh", "-c", script], {})
            pidfd = os.pidfd_open(pid)
            try:
                _, status = os.waitpid(pid, 0)
                kept[pid] = _info_after_reap(pidfd)
            finally:
                os.close(pidfd)
            assert kept[pid][0] == status
        records = source.finish()
        assert source.take_losses() == {}
    ends = records[
        np.isin(records["kind"], [CONSTANTS["ZT_KIND_EXIT"], CONSTANTS["ZT_KIND_LIFETIME"]])
        & ((records["flags"] & CONSTANTS["ZT_F_GROUP_DEAD"]) != 0)
        & np.isin(records["host_pid"], list(kept))
    ]
    told = {int(one["host_pid"]): (int(one["exit_code"]), int(one["cgroup_id"])) for one in ends}
    assert told == kept
