"""Records become events; 0 becomes "unknown", numbers get their meaning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tracer.model.events import (
    ExitEvent,
    KernelEvent,
    Precision,
    ProcessEvent,
    ReapEvent,
    SigchldAction,
    SignalEvent,
    SignalInfo,
)
from tracer.model.identity import ProcessKey, ProcessSnapshot
from tracer.model.signals import Disposition, SignalResult
from tracer.model.wait_status import WaitStatus
from tracer.wire.decode import Decoder
from tracer.wire.layout import CONSTANTS, KIND_NAMES, RECORD


def decode(**fields: Any) -> KernelEvent:
    batch = np.zeros(1, RECORD)
    for name, value in fields.items():
        batch[name] = value
    (event,) = Decoder("x86_64").decode_batch(batch)
    return event


def a_signal(**fields: Any) -> SignalEvent:
    event = decode(**{"kind": CONSTANTS["ZT_KIND_SIGNAL"], "host_pid": 7, "sig": 15, **fields})
    assert isinstance(event, SignalEvent)
    return event


def test_zero_means_unknown_in_a_snapshot() -> None:
    event = decode(kind=CONSTANTS["ZT_KIND_EXEC"], host_pid=7, start_boot_ns=9, comm=b"sh")
    assert event.process == ProcessSnapshot(
        host_pid=7,
        start_boot_ns=9,
        ns_pid=None,
        comm="sh",
        parent_host_pid=0,
        parent_start_boot_ns=None,
        parent_comm=None,
        parent_pidns_inum=None,
        pidns_inum=None,
        pidns_level=None,
        init_start_boot_ns=None,
        cgroup_id=None,
        is_init=False,
    )


def test_every_kind_of_record_has_an_event() -> None:
    for kind in KIND_NAMES:
        if kind:
            assert decode(kind=kind).boot_ns == 0


def test_a_kind_of_a_newer_version_is_refused() -> None:
    with pytest.raises(KeyError):
        decode(kind=99)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (0, WaitStatus(0, None, core_dumped=False)),
        (65 << 8, WaitStatus(65, None, core_dumped=False)),
        (9, WaitStatus(None, 9, core_dumped=False)),
        (11 | 0x80, WaitStatus(None, 11, core_dumped=True)),
    ],
)
def test_exit_status_reads_as_waitpid_returns_it(raw: int, expected: WaitStatus) -> None:
    event = decode(kind=CONSTANTS["ZT_KIND_EXIT"], exit_code=raw)
    assert isinstance(event, ExitEvent)
    assert event.status == expected
    assert event.status.raw == raw


def test_a_release_is_exact_and_a_free_an_upper_bound_without_an_actor() -> None:
    reap = decode(kind=CONSTANTS["ZT_KIND_REAP"], cur_host_pid=5, cur_start_boot_ns=3)
    free = decode(kind=CONSTANTS["ZT_KIND_FREE"])
    assert isinstance(reap, ReapEvent)
    assert isinstance(free, ReapEvent)
    assert reap.precision is Precision.EXACT
    assert reap.actor is not None
    assert reap.actor.key == ProcessKey(5, 3)
    assert (free.precision, free.actor) == (Precision.UPPER_BOUND, None)


def test_siginfo_fields_exist_only_where_the_kernel_filled_them() -> None:
    event = a_signal(info=CONSTANTS["ZT_INFO_PRIV"], si_code=77, si_pid=5)
    assert (event.info, event.si_code, event.si_pid) == (SignalInfo.KERNEL, None, None)
    event = a_signal(info=CONSTANTS["ZT_INFO_POINTER"], si_code=-6, si_pid=5)
    assert (event.info, event.si_code, event.si_pid) == (SignalInfo.FILLED, -6, 5)


def test_a_blocked_signal_reads_blocked_whatever_its_handler() -> None:
    blocked = CONSTANTS["ZT_F_BLOCKED"]
    caught = CONSTANTS["ZT_ACTION_CAUGHT"]
    assert a_signal(action=caught).disposition is Disposition.CAUGHT
    assert a_signal(action=caught, flags=blocked).disposition is Disposition.BLOCKED
    assert a_signal(sig=9, flags=blocked).disposition is Disposition.DEFAULT


@pytest.mark.parametrize(("number", "expected"), list(enumerate(SignalResult)))
def test_results_follow_the_kernels_numbers(number: int, expected: SignalResult) -> None:
    assert a_signal(result=number).result is expected


def test_the_senders_system_call_is_named_by_its_own_table() -> None:
    assert a_signal(sys_nr=62).actor.syscall == "kill"
    assert a_signal(sys_nr=37).actor.syscall == "alarm"
    assert a_signal(sys_nr=37, flags=CONSTANTS["ZT_F_CUR_COMPAT"]).actor.syscall == "kill"
    assert a_signal(sys_nr=-1).actor.syscall is None


def test_a_chain_ends_at_the_first_empty_name() -> None:
    event = a_signal(chain_comm=[b"containerd-shim", b"systemd", b"", b""])
    assert event.actor.chain == ("containerd-shim", "systemd")


def test_names_keep_what_is_no_utf8_as_text() -> None:
    event = decode(kind=CONSTANTS["ZT_KIND_EXEC"], comm=b"a\xff\x1bb")
    assert event.process.comm == "a\\xff\x1bb"


def test_a_notification_without_a_known_child_names_none() -> None:
    notify = CONSTANTS["ZT_F_NOTIFY"]
    assert a_signal(flags=notify).notified_child is None
    child = a_signal(flags=notify, child_pid=8, child_start_boot_ns=3).notified_child
    assert child == ProcessKey(8, 3)


def test_a_seeded_zombie_has_its_status_and_a_zombie_leader_has_none() -> None:
    fields = {"kind": CONSTANTS["ZT_KIND_PROCESS"], "exit_state": 0x20, "exit_code": 3 << 8}
    zombie, leader = decode(**fields), decode(**fields, live_threads=2)
    assert isinstance(zombie, ProcessEvent)
    assert isinstance(leader, ProcessEvent)
    assert (zombie.is_zombie, zombie.status) == (True, WaitStatus.from_raw(3 << 8))
    assert (leader.is_zombie, leader.status) == (True, None)
    assert zombie.own_sigchld is SigchldAction.DEFAULT
