"""Records of a host that never was, as many as wanted, whose story is known.

Short-lived processes of the host come and go under a daemon that reaps them;
some die by a signal, some stay zombies under a parent that does not wait. Beside
them containers run, whose init drops SIGTERM: each is stopped, gets SIGKILL when
its grace is over, and its namespace is taken down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tracer.model.events import AttachedEvent, EndEvent, HookState
from tracer.model.target import Container, KernelFilter, Target
from tracer.wire.layout import CONSTANTS, RECORD

Records = npt.NDArray[np.void]

SECOND_NS = 1_000_000_000
BEGIN_NS = 1_000 * SECOND_NS
UTC_OFFSET_NS = 1_700_000_000 * SECOND_NS
HOST_PIDNS = 4026531836
GRACE_NS = 10 * SECOND_NS
_KIND = {
    name.removeprefix("ZT_KIND_"): number
    for name, number in CONSTANTS.items()
    if name.startswith("ZT_KIND_")
}
_INIT_START_NS = 1_000_000
_DAEMON_PID, _LEAKER_PID = 700, 701
_SIGCHLD, _SIGKILL, _SIGTERM = 17, 9, 15
_F = {
    name.removeprefix("ZT_F_"): number
    for name, number in CONSTANTS.items()
    if name.startswith("ZT_F_")
}


@dataclass(frozen=True)
class MadeHost:
    """What there is, and so what a report must say.

    Attributes:
        short_lived: Processes of the host that exit and are reaped at once.
        killed: Processes of the host that another process kills.
        leaked: Processes of the host that stay zombies.
        containers: How many are stopped.
        workers: Processes in each besides its init; the teardown kills them.
    """

    short_lived: int
    killed: int = 3
    leaked: int = 7
    containers: int = 5
    workers: int = 11

    @property
    def attached(self) -> AttachedEvent:
        """How its trace begins."""
        return AttachedEvent(
            boot_ns=BEGIN_NS,
            utc_offset_ns=UTC_OFFSET_NS,
            kernel="6.18.0",
            machine="x86_64",
            source="bpf",
            hooks=tuple(
                HookState(name, "raw_tp:made_up")
                for name in ("exit", "free", "signal", "fork", "exec", "seed")
            ),
            target=Target(
                "the whole host",
                KernelFilter(everything=True),
                tuple(self.container(number) for number in range(self.containers)),
            ),
        )

    @property
    def end(self) -> EndEvent:
        """How it ends."""
        return EndEvent(BEGIN_NS + 3600 * SECOND_NS, "interrupted")

    def container(self, number: int) -> Container:
        """One of its containers."""
        return Container(
            id=f"{number:064x}",
            name=f"made-{number}",
            runtime="docker",
            init_host_pid=_container_pid(number),
            init_start_boot_ns=_container_start_ns(number),
            pidns_inum=4026540000 + number,
            has_own_pidns=True,
            cgroup_path=None,
            cgroup_id=9000 + number,
        )

    def records(self, at_once: int = 50_000) -> Iterator[Records]:
        """Give everything in order of time."""
        few = np.concatenate([_seed(), self._killed(), self._leaked(), *self._containers()])
        few = few[np.argsort(few["boot_ns"], kind="stable")]
        given = 0
        for first in range(0, self.short_lived, at_once):
            many = _short_lived(first, min(at_once, self.short_lived - first), self.short_lived)
            until = int(np.searchsorted(few["boot_ns"], many["boot_ns"][-1], "right"))
            both = np.concatenate([many, few[given:until]])
            given = until
            yield both[np.argsort(both["boot_ns"], kind="stable")]
        yield few[given:]

    def _killed(self) -> Records:
        numbers = np.arange(self.killed)
        births_ns = BEGIN_NS + SECOND_NS + numbers * SECOND_NS
        lives = _lives(numbers + 3_000_000, births_ns, 200_000_000, _DAEMON_PID, b"victim")
        signal = _blank(len(numbers), "SIGNAL", births_ns + 190_000_000)
        _subject(signal, numbers + 3_000_000, births_ns, _DAEMON_PID, b"victim")
        _current(signal, 900, 5_000_000, b"killer", sys_nr=62)
        signal["sig"], signal["info"] = _SIGKILL, CONSTANTS["ZT_INFO_POINTER"]
        signal["flags"] |= _F["GROUP"]
        signal["live_threads"] = 1
        lives["exit_code"][lives["kind"] == _KIND["EXIT"]] = _SIGKILL
        return np.concatenate([lives, signal])

    def _leaked(self) -> Records:
        numbers = np.arange(self.leaked)
        births_ns = BEGIN_NS + 2 * SECOND_NS + numbers * 1_000_000
        lives = _lives(numbers + 3_100_000, births_ns, 5_000_000, _LEAKER_PID, b"orphan")
        unreaped: Records = lives[lives["kind"] != _KIND["FREE"]]
        return unreaped

    def _containers(self) -> Iterator[Records]:
        for number in range(self.containers):
            yield self._container(number)

    def _container(self, number: int) -> Records:
        inum, start_ns = 4026540000 + number, _container_start_ns(number)
        init_pid = _container_pid(number)
        pids = init_pid + np.arange(self.workers + 1)
        births_ns = start_ns + np.arange(self.workers + 1) * 100_000
        stop_ns = start_ns + 2 * SECOND_NS
        kill_ns = stop_ns + GRACE_NS

        def inside(kind: str, stamps_ns: Any, rows: slice = slice(None)) -> Records:
            records = _blank(len(pids[rows]), kind, stamps_ns)
            _subject(records, pids[rows], births_ns[rows], init_pid, b"worker")
            records["comm"][records["host_pid"] == init_pid] = b"app"
            records["pidns_inum"], records["pidns_level"] = inum, 1
            records["init_start_boot_ns"] = start_ns
            records["ns_pid"] = records["host_pid"] - init_pid + 1
            records["parent_start_boot_ns"], records["parent_comm"] = start_ns, b"app"
            records["parent_pidns_inum"] = inum
            records["cgroup_id"] = 9000 + number
            is_init = records["host_pid"] == init_pid
            records["flags"][is_init] |= _F["INIT"] | _F["UNKILLABLE"]
            records["parent_host_pid"][is_init] = 800
            records["parent_start_boot_ns"][is_init] = 4_000_000
            records["parent_comm"][is_init] = b"containerd-shim"
            records["parent_pidns_inum"][is_init] = HOST_PIDNS
            return records

        forks = inside("FORK", births_ns)
        _current(forks, init_pid, start_ns, b"app", ns_pid=1, sys_nr=56)
        asked = inside("SIGNAL", stop_ns, slice(0, 1))
        _current(asked, 850, 6_000_000, b"runc", sys_nr=62)
        asked["sig"], asked["result"] = _SIGTERM, 1
        killed = inside("SIGNAL", kill_ns, slice(0, 1))
        _current(killed, 851, 6_100_000, b"runc", sys_nr=62)
        killed["sig"] = _SIGKILL
        for sent in (asked, killed):
            sent["info"] = CONSTANTS["ZT_INFO_POINTER"]
            sent["flags"] |= _F["GROUP"]
            sent["live_threads"] = 1
            sent["chain_comm"][:, 0] = b"containerd-shim"
        torn = inside("SIGNAL", kill_ns + 200_000, slice(1, None))
        _current(torn, init_pid, start_ns, b"app", ns_pid=1)
        torn["sig"], torn["info"] = _SIGKILL, CONSTANTS["ZT_INFO_PRIV"]
        torn["flags"] |= _F["GROUP"] | _F["CUR_EXITING"] | _F["CUR_REAPER"]
        torn["live_threads"] = 1
        ends_ns = kill_ns + 300_000 + np.arange(self.workers + 1) * 1_000
        ends_ns[0] = kill_ns + 100_000
        exits = inside("EXIT", ends_ns)
        exits["exit_code"], exits["exit_signal"] = _SIGKILL, _SIGCHLD
        exits["flags"] |= _F["GROUP_DEAD"]
        notices = _notices(
            pids[:1], births_ns[:1], kill_ns + 5_000_000, 800, 4_000_000, b"containerd-shim", b"app"
        )
        notices["pidns_inum"], notices["pidns_level"] = HOST_PIDNS, 0
        frees = inside("FREE", ends_ns + 20_000)
        frees["boot_ns"][0] = kill_ns + 6_000_000
        return np.concatenate([forks, asked, killed, torn, exits, notices, frees])


def _container_pid(number: int) -> int:
    return 2_000_000 + number * 1_000


def _container_start_ns(number: int) -> int:
    return BEGIN_NS + 3 * SECOND_NS + number * 10_000_000


def _blank(count: int, kind: str, stamps_ns: Any) -> Records:
    records = np.zeros(count, RECORD)
    records["kind"] = _KIND[kind]
    records["boot_ns"] = stamps_ns
    records["sys_nr"] = -1
    return records


def _subject(records: Records, pids: Any, births_ns: Any, parent_pid: int, comm: bytes) -> None:
    records["host_pid"] = records["host_tid"] = records["ns_pid"] = pids
    records["start_boot_ns"] = births_ns
    records["comm"] = comm
    records["parent_host_pid"] = parent_pid
    records["parent_start_boot_ns"] = 3_000_000 + parent_pid
    records["parent_comm"] = b"daemon" if parent_pid == _DAEMON_PID else b"leaker"
    records["parent_pidns_inum"] = records["pidns_inum"] = HOST_PIDNS
    records["init_start_boot_ns"] = _INIT_START_NS
    records["cgroup_id"] = 42
    records["exit_signal"] = _SIGCHLD


def _current(
    records: Records, pid: Any, start_ns: Any, comm: bytes, *, ns_pid: int = 0, sys_nr: int = -1
) -> None:
    records["cur_host_pid"] = records["cur_host_tid"] = pid
    records["cur_start_boot_ns"] = start_ns
    records["cur_comm"] = comm
    records["cur_ns_pid"] = ns_pid
    records["sys_nr"] = sys_nr


def _notices(
    pids: Any,
    births_ns: Any,
    stamps_ns: Any,
    parent_pid: int,
    parent_start_ns: int,
    comm: bytes,
    child_comm: bytes,
) -> Records:
    notices = _blank(len(pids), "SIGNAL", stamps_ns)
    _subject(notices, parent_pid, parent_start_ns, 1, comm)
    notices["parent_start_boot_ns"], notices["parent_comm"] = _INIT_START_NS, b"init"
    notices["child_pid"], notices["child_start_boot_ns"] = pids, births_ns
    notices["sig"], notices["info"] = _SIGCHLD, CONSTANTS["ZT_INFO_POINTER"]
    notices["si_code"], notices["si_pid"] = 1, pids
    notices["flags"] |= _F["NOTIFY"] | _F["GROUP"] | _F["CUR_EXITING"]
    notices["live_threads"] = 1
    _current(notices, pids, births_ns, child_comm)
    return notices


def _lives(numbers: Any, births_ns: Any, lived_ns: int, parent_pid: int, comm: bytes) -> Records:
    """FORK, EXEC, EXIT, the notice of it and FREE of each."""
    parts = []
    pids = np.asarray(numbers)
    births_ns = np.asarray(births_ns)
    for kind, after_ns in (
        ("FORK", 0),
        ("EXEC", 50_000),
        ("EXIT", lived_ns),
        ("FREE", lived_ns + 400_000),
    ):
        records = _blank(len(pids), kind, births_ns + after_ns)
        _subject(records, pids, births_ns, parent_pid, comm)
        if kind == "FORK":
            _current(records, parent_pid, 3_000_000 + parent_pid, b"daemon", sys_nr=56)
        if kind == "EXIT":
            records["flags"] |= _F["GROUP_DEAD"]
        parts.append(records)
    name = b"daemon" if parent_pid == _DAEMON_PID else b"leaker"
    parts.append(
        _notices(
            pids,
            births_ns,
            births_ns + lived_ns + 10_000,
            parent_pid,
            3_000_000 + parent_pid,
            name,
            comm,
        )
    )
    records = np.concatenate(parts)
    return records[np.argsort(records["boot_ns"], kind="stable")]


def _short_lived(first: int, count: int, total: int) -> Records:
    numbers = np.arange(first, first + count)
    # Spread over an hour; pids are used again after a while, as on any host.
    births_ns = BEGIN_NS + SECOND_NS + numbers * (3500 * SECOND_NS // max(total, 1))
    return _lives(10_000 + numbers % 1_900_000, births_ns, 3_000_000, _DAEMON_PID, b"job")


def _seed() -> Records:
    records = np.concatenate(
        [
            _blank(1, "PROCESS", BEGIN_NS),
            _blank(1, "PROCESS", BEGIN_NS + 1),
            _blank(1, "PROCESS", BEGIN_NS + 2),
        ]
    )
    there = ((1, b"init"), (_DAEMON_PID, b"daemon"), (_LEAKER_PID, b"leaker"))
    for row, (pid, comm) in enumerate(there):
        one = records[row : row + 1]
        start_ns = _INIT_START_NS if pid == 1 else 3_000_000 + pid
        _subject(one, pid, start_ns, 1, comm)
        one["parent_start_boot_ns"], one["parent_comm"] = _INIT_START_NS, b"init"
        if pid == 1:
            one["parent_host_pid"], one["parent_start_boot_ns"] = 0, 0
            one["flags"] |= _F["INIT"] | _F["UNKILLABLE"]
        one["live_threads"] = 1
    return records
