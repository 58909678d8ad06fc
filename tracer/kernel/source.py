"""The BPF event source: programs in the kernel, records out of the ring.

numpy is imported when the first record is asked for: by then the other process
compiles, and :meth:`BpfSource.start` need not wait for it.
"""

from __future__ import annotations

import os
import struct
import time
from functools import cached_property
from typing import TYPE_CHECKING, Self

from tracer.errors import BpfUnavailableError, ZomtraceError
from tracer.kernel import attach, plan
from tracer.kernel.allowances import allow_signals
from tracer.kernel.config import KernelConfig
from tracer.kernel.loader import LoadedPrograms, LoadJob
from tracer.kernel.losses import LossCounter
from tracer.kernel.maps import program_misses
from tracer.kernel.plan import Candidate, Row, RowOutcome
from tracer.kernel.rights import is_shortage, refuse_by_errno
from tracer.kernel.wakeup import WakeUp
from tracer.model.events import BPF_SOURCE, HookState
from tracer.model.target import KernelFilter

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tracer.kernel.rings import Rings
    from tracer.kernel.roll_call import RollCall

TARGET_RING_BYTES = 8 << 20
HOST_RING_BYTES = 16 << 20

_FIRST_PIDNS_INUM = 0xEFFFFFFC


class BpfSource:
    """Sees processes through BPF. Use as a context manager.

    The order of calls is ``start``, ``set_filter``, ``attach``, ``seed``, then
    ``read`` as long as wanted. Everything in the kernel exists only through this process's
    descriptors: however it ends, nothing is left behind.

    Args:
        everything: Whether the whole host is going to be traced; sizes the ring.
        ring_bytes: The ring's size instead: a power of two, at least a page.
        allow_kprobes: False restricts the plan to tracepoints.
        cgroup_v1: Tell containers apart by cgroup v1's pids controller.
        fresh: Compile the programs, whatever was kept from an earlier time.

    Raises:
        ZomtraceError: ``ring_bytes`` is no size a ring can have.
    """

    name = BPF_SOURCE

    def __init__(
        self,
        *,
        everything: bool,
        ring_bytes: int | None = None,
        allow_kprobes: bool = True,
        cgroup_v1: bool = False,
        fresh: bool = False,
    ) -> None:
        self._ring_bytes = ring_bytes or (HOST_RING_BYTES if everything else TARGET_RING_BYTES)
        page = os.sysconf("SC_PAGESIZE")
        if self._ring_bytes < page or self._ring_bytes & (self._ring_bytes - 1):
            raise ZomtraceError(
                f"invalid ring size: {self._ring_bytes} bytes",
                hint=f"give a power of two, at least {page}",
            )
        self._cgroup_v1 = cgroup_v1
        self._everything = everything
        self._fresh = fresh
        self._kprobes_refused = (
            plan.kprobes_unavailable() if allow_kprobes else "only tracepoints were requested"
        )
        self._job: LoadJob | None = None
        self._loaded: LoadedPrograms | None = None
        self._rings: Rings | None = None
        self._roll: RollCall | None = None
        self._wakeup: WakeUp | None = None
        self._config = KernelConfig(lambda: self._programs().maps["zt_config"].memory)
        self._links: dict[str, int] = {}
        self._outcomes: tuple[RowOutcome, ...] = ()
        self._losses = LossCounter()
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def start(self) -> None:
        """Begin to compile, in another process; returns at once."""
        if self._job is None and self._loaded is None:
            self._job = LoadJob(
                ring_bytes=self._ring_bytes,
                cgroup_v1=self._cgroup_v1,
                kprobes_refused=self._kprobes_refused,
                # A container's processes do not end by the thousand a second.
                preallocate=self._everything,
                fresh=self._fresh,
            )

    def set_filter(self, kernel_filter: KernelFilter) -> None:
        """Say what the kernel side lets through; may be called again any time.

        Waits for the programs to be loaded.

        Raises:
            PrivilegeError: A capability is missing.
            BpfUnavailableError: The programs cannot be had, or the filter is too long.
        """
        maps = self._programs().maps
        maps["zt_pidns"].become(struct.pack("=I", inum) for inum in kernel_filter.pidns_inums)
        maps["zt_cgroups"].become(struct.pack("=Q", number) for number in kernel_filter.cgroup_ids)
        self._config.choose(kernel_filter)

    def fold(self, min_zombie_ns: int | None) -> None:
        """Emit one record per lifetime where it turns out to be uneventful.

        Where this process does not see the whole host nothing is folded: the age of
        zombies could not be checked.

        Args:
            min_zombie_ns: A zombie shorter than this is uneventful. None: from now on
                each event of a new process has a record of its own.
        """
        if not self._sees_every_process:
            min_zombie_ns = None
        self._config.fold(min_zombie_ns)
        if min_zombie_ns is not None and self._roll is not None:
            self._roll.fold(min_zombie_ns)

    def attach(self) -> tuple[HookState, ...]:
        """Hang up the hooks: from the return on, everything is seen.

        Returns:
            What serves each row of the hook plan, and what that costs.

        Raises:
            PrivilegeError: A capability is missing.
            BpfUnavailableError: A hook is missing without which there is no trace.
        """
        loaded = self._programs()
        self._allow_signals()
        self._outcomes = plan.settle(
            loaded.features,
            kprobes_refused=self._kprobes_refused,
            try_attach=self._try_attach,
        )
        if "reap" not in self._links and self._sees_every_process:
            self._outcomes += (RowOutcome(self._watch_zombies(), ()),)
        return tuple(outcome.state for outcome in self._outcomes)

    @property
    def outcomes(self) -> tuple[RowOutcome, ...]:
        """The hook plan as it was attached, with the reasons; for doctor."""
        return self._outcomes

    @property
    def log(self) -> str:
        """What clang and the verifier said; for -v."""
        return self._programs().log

    @property
    def load_seconds(self) -> dict[str, float]:
        """What took how long in the compiling process."""
        return dict(self._programs().seconds)

    def seed(self) -> npt.NDArray[np.void]:
        """List what is there already, as PROCESS records, zombies included.

        Call after :meth:`attach`: what happens meanwhile is in the ring, so that
        nothing falls between the two. Empty where the kernel has no task iterator
        (its row then has no source).

        Source:
            The BPF task iterator, over the PID namespace of this process.
        """
        seeded = self._open_roll().seed()
        if self._wakeup is not None:
            self._wakeup.set(self.sweep_due_in_s)
        return seeded

    def read(self, timeout_s: float | None) -> npt.NDArray[np.void]:
        """Wait for records and take what is there.

        Args:
            timeout_s: How long to wait at most; 0 only looks, None waits for ever.

        Returns:
            Records in ring order (nearly by time); empty after a timeout. FREE
            records of processes that were found to be gone come last.
        """
        rings, roll = self._open_rings(), self._open_roll()
        ends_s = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left_s = None if ends_s is None else max(0.0, ends_s - time.monotonic())
            due_s = roll.due_in_s
            if due_s is not None and (left_s is None or due_s < left_s):
                left_s = due_s
            drained = rings.drain() if left_s == 0 or rings.wait(left_s) else rings.nothing
            self._allow_signals()
            batch = roll.observe(drained)
            if self._wakeup is not None:
                self._wakeup.set(roll.due_in_s)
            if len(batch) or (ends_s is not None and time.monotonic() >= ends_s):
                return batch

    @property
    def sweep_due_in_s(self) -> float | None:
        """When it is time to look whether a dead process is gone; :meth:`read` does it.

        None where no process is dead and unreleased; then there is no need to
        wake up at all.
        """
        return self._open_roll().due_in_s

    def finish(self) -> npt.NDArray[np.void]:
        """Take what is left, for the last time.

        Returns:
            As :meth:`read`; dead processes that no longer exist count as released.
        """
        return self._open_roll().finish(self._open_rings().drain)

    def take_losses(self) -> dict[str, int]:
        """Return how many records were lost since the last call, by kind.

        Counts records that found no room in the ring, and runs of a program that
        the kernel skipped because an earlier run was not over on that CPU: it had
        been interrupted, or (7.0 and later) preempted. What a spare hook emitted
        instead does not count.
        """
        return self._losses.take(self._programs().maps["zt_drops"].memory, self.misses())

    def misses(self) -> dict[str, int]:
        """Say how often the kernel did not run a hook's program, by row of the plan."""
        loaded = self._programs()
        return {
            row.name: sum(
                program_misses(fd)
                for candidate in row.candidates
                if (fd := loaded.programs.get(candidate.program)) is not None
            )
            for row in plan.ROWS
            if row.name in self._links
        }

    @property
    def capacity(self) -> int:
        """How many records a ring has room for."""
        return self._open_rings().capacity

    @property
    def filled(self) -> float:
        """The share of the fullest ring that is taken."""
        return self._open_rings().filled

    def fileno(self) -> int:
        """Return a descriptor that is readable when :meth:`read` has something to do.

        There are records, or it is time to look whether a dead process is gone.
        """
        if self._wakeup is None:
            maps = self._programs().maps
            self._wakeup = WakeUp(maps["zt_events"].fd, maps["zt_uneventful"].fd)
            self._wakeup.set(self.sweep_due_in_s)
        return self._wakeup.fileno()

    @property
    def folded_alive(self) -> int:
        """Living processes that nothing was emitted for yet."""
        return self._open_roll().folded_alive

    def urgent_fileno(self) -> int:
        """Return a descriptor that is readable when there is more than uneventful lifetimes."""
        return self._programs().maps["zt_events"].fd

    def close(self) -> None:
        """Detach everything, for good; may be called twice."""
        self._is_closed = True
        while self._links:
            _, fd = self._links.popitem()
            os.close(fd)
        if self._wakeup is not None:
            self._wakeup.close()
            self._wakeup = None
        if self._roll is not None:
            self._roll.close()
        if self._rings is not None:
            self._rings.close()
            self._rings = None
        if self._loaded is not None:
            self._loaded.close()
            self._loaded = None
        if self._job is not None:
            self._job.close()
            self._job = None

    def _programs(self) -> LoadedPrograms:
        if self._is_closed:
            raise ZomtraceError("the BPF source has been closed")
        if self._loaded is None:
            self.start()
            job = self._job
            assert job is not None  # noqa: S101
            try:
                self._loaded = job.result()
            finally:
                self._job = None
                job.close()
        return self._loaded

    @cached_property
    def _sees_every_process(self) -> bool:
        """The iterator lists the namespace of the reader: is that the first one?"""
        return os.stat("/proc/self/ns/pid").st_ino == _FIRST_PIDNS_INUM

    def _open_roll(self) -> RollCall:
        if self._roll is None:
            from tracer.kernel.lister import TaskLister
            from tracer.kernel.roll_call import RollCall

            links = self._links
            self._roll = RollCall(
                TaskLister(links.get("seed"), self._config.list_tasks),
                lambda: attach.run_iterator(links["folded"]),
                self._programs().maps,
                is_possible="seed" in self._links and self._sees_every_process,
            )
            if self._config.folded_below_ns is not None:
                self._roll.fold(self._config.folded_below_ns)
        return self._roll

    def _watch_zombies(self) -> HookState:
        from tracer.kernel.pidfds import SOURCE, pidfds_hang_up

        if not pidfds_hang_up():
            return HookState("zombie_reap", None, "pidfds do not report a release (before 6.15)")
        self._open_roll().watch_zombies()
        return HookState("zombie_reap", SOURCE)

    def _open_rings(self) -> Rings:
        if self._rings is None:
            from tracer.kernel.heap import keep_freed_memory
            from tracer.kernel.rings import Rings
            from tracer.wire.layout import RECORD

            keep_freed_memory()
            maps = self._programs().maps
            self._rings = Rings([maps["zt_events"], maps["zt_uneventful"]], RECORD)
        return self._rings

    def _allow_signals(self) -> None:
        rings = self._open_rings()
        allow_signals(self._programs().maps["zt_numbers"], rings.capacity, rings.filled)

    def _try_attach(self, row: Row, candidate: Candidate) -> str | None:
        loaded = self._programs()
        program_fd = loaded.programs.get(candidate.program)
        if program_fd is None:
            reason = loaded.refused[candidate.program]
        else:
            try:
                table_fd = loaded.maps["zt_lifetimes"].fd
                self._links[row.name] = attach.attach(candidate, program_fd, table_fd)
            except OSError as error:
                reason = f"it cannot be attached: {error.strerror}"
                # What one can do without may ask for more privilege than the rest.
                if row.required or row.spare_for is None or is_shortage(error):
                    refuse_by_errno(error.errno or 0, f"attaching to {candidate.source}")
            else:
                return None
        if row.required:
            refusal = BpfUnavailableError(
                f"BPF program {candidate.program} ({candidate.source}): {reason}",
                hint="run with -v to see the verifier's whole log",
            )
            refusal.add_note(loaded.log)
            raise refusal
        return reason
