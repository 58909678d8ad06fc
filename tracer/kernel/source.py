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
from tracer.kernel import attach, clock, plan
from tracer.kernel.loader import LoadedPrograms, LoadJob, refuse_by_errno
from tracer.kernel.maps import program_misses
from tracer.kernel.plan import Candidate, Row, RowOutcome
from tracer.kernel.wakeup import WakeUp
from tracer.model.events import HookState
from tracer.model.target import KernelFilter
from tracer.wire.header import CONSTANTS, KIND_NAMES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tracer.kernel.ring import RingReader
    from tracer.kernel.sweep import ReleaseSweep

TARGET_RING_BYTES = 8 << 20
HOST_RING_BYTES = 16 << 20

_DROPS = struct.Struct(f"={CONSTANTS['ZT_KIND_COUNT']}Q")
_FIRST_PIDNS_INUM = 0xEFFFFFFC


class BpfSource:
    """Sees processes through BPF. Use as a context manager.

    The order of calls is ``start``, ``set_filter``, ``attach``, ``seed``, then
    ``read`` as long as wanted. Everything in the kernel lives by this process's
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
                f"a ring cannot have {self._ring_bytes} bytes",
                hint=f"give a power of two, at least {page}",
            )
        self._cgroup_v1 = cgroup_v1
        self._everything = everything
        self._fresh = fresh
        self._kprobes_refused = (
            plan.kprobes_unavailable() if allow_kprobes else "tracepoints alone were asked for"
        )
        self._job: LoadJob | None = None
        self._loaded: LoadedPrograms | None = None
        self._ring: RingReader | None = None
        self._sweep: ReleaseSweep | None = None
        self._wakeup: WakeUp | None = None
        self._filter = KernelFilter()
        self._links: dict[str, int] = {}
        self._outcomes: tuple[RowOutcome, ...] = ()
        self._counted: dict[str, int] = {}
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
        self._filter = kernel_filter
        self._write_config()

    def attach(self) -> tuple[HookState, ...]:
        """Hang up the hooks: from the return on, everything is seen.

        Returns:
            What serves each row of the hook plan, and what that costs.

        Raises:
            PrivilegeError: A capability is missing.
            BpfUnavailableError: A hook is missing without which there is no trace.
        """
        loaded = self._programs()
        self._outcomes = plan.settle(
            loaded.features,
            kprobes_refused=self._kprobes_refused,
            try_attach=self._try_attach,
        )
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
        sweep = self._open_sweep()
        seeded = self._list_tasks()
        sweep.observe(seeded)
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
        ring, sweep = self._open_ring(), self._open_sweep()
        ends_s = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left_s = None if ends_s is None else max(0.0, ends_s - time.monotonic())
            due_s = self.sweep_due_in_s
            if due_s is not None and (left_s is None or due_s < left_s):
                left_s = due_s
            batch = ring.drain() if left_s == 0 or ring.wait(left_s) else ring.nothing
            if self._can_sweep:
                sweep.observe(batch)
            if self.sweep_due_in_s == 0:
                batch = self._with_released(batch, is_last=False)
            if self._wakeup is not None:
                self._wakeup.set(self.sweep_due_in_s)
            if len(batch) or (ends_s is not None and time.monotonic() >= ends_s):
                return batch

    @property
    def sweep_due_in_s(self) -> float | None:
        """When it is time to look whether a dead process is gone; :meth:`read` does it.

        None where no process is dead and unreleased; then there is no need to
        wake up at all.
        """
        return self._open_sweep().due_in_s if self._can_sweep else None

    @property
    def _can_sweep(self) -> bool:
        return "seed" in self._links and self._sees_every_process

    def finish(self) -> npt.NDArray[np.void]:
        """Take what is left, for the last time.

        Returns:
            As :meth:`read`; whatever is dead and not there any more is told to
            be released, however lately that happened.
        """
        batch = self._open_ring().drain()
        self._open_sweep().observe(batch)
        if self.sweep_due_in_s is None:
            return batch
        return self._with_released(batch, is_last=True)

    def take_losses(self) -> dict[str, int]:
        """Return how many records were lost since the last call, by kind.

        Counts records that found no room in the ring, and runs of a program
        the kernel skipped because another one of it was not over on that CPU:
        it had been interrupted, or (7.0 and later) preempted. Not what a spare
        hook told then.
        """
        loaded = self._programs()
        totals = {
            KIND_NAMES[number]: total
            for number, total in enumerate(_DROPS.unpack_from(loaded.maps["zt_drops"].memory))
            if number in KIND_NAMES
        }
        misses = self.misses()
        for row in plan.ROWS:
            if row.spare_for is not None and {row.name, row.spare_for} <= set(misses):
                # Lost is what neither of them was run for: so many at most.
                misses[row.spare_for] = min(misses[row.spare_for], misses.pop(row.name))
        for row in plan.ROWS:
            totals[row.kind] += misses.get(row.name, 0)
        losses = {
            kind: total - self._counted.get(kind, 0)
            for kind, total in totals.items()
            if total > self._counted.get(kind, 0)
        }
        self._counted = totals
        return losses

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
        """How many records the ring has room for."""
        return self._open_ring().capacity

    @property
    def filled(self) -> float:
        """The share of the ring that is taken."""
        return self._open_ring().filled

    def fileno(self) -> int:
        """Return a descriptor that is readable when :meth:`read` has something to do.

        There are records, or it is time to look whether a dead process is gone.
        """
        if self._wakeup is None:
            self._wakeup = WakeUp(self._programs().maps["zt_events"].fd)
            self._wakeup.set(self.sweep_due_in_s)
        return self._wakeup.fileno()

    def close(self) -> None:
        """Detach everything, for good; may be called twice."""
        self._is_closed = True
        while self._links:
            _, fd = self._links.popitem()
            os.close(fd)
        if self._wakeup is not None:
            self._wakeup.close()
            self._wakeup = None
        if self._ring is not None:
            self._ring.close()
            self._ring = None
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

    def _write_config(self, *, dead_only: bool = False) -> None:
        """Fill struct zt_config (bpf/zt_maps.h)."""
        config = struct.pack(
            "=IIII",
            self._filter.everything,
            len(self._filter.pidns_inums),
            len(self._filter.cgroup_ids),
            dead_only,
        )
        self._programs().maps["zt_config"].memory[: len(config)] = config

    def _list_tasks(self) -> npt.NDArray[np.void]:
        from tracer.kernel.tasks import list_tasks

        return list_tasks(self._links.get("seed"))

    def _list_dead(self) -> npt.NDArray[np.void]:
        self._write_config(dead_only=True)
        try:
            return self._list_tasks()
        finally:
            self._write_config()

    def _with_released(self, batch: npt.NDArray[np.void], *, is_last: bool) -> npt.NDArray[np.void]:
        from tracer.wire.layout import join_records

        released = self._open_sweep().sweep(clock.boot_now_ns(), is_last=is_last)
        return join_records([batch, released]) if len(released) else batch

    @cached_property
    def _sees_every_process(self) -> bool:
        """The iterator lists the namespace of the reader: is that the first one?"""
        return os.stat("/proc/self/ns/pid").st_ino == _FIRST_PIDNS_INUM

    def _open_sweep(self) -> ReleaseSweep:
        if self._sweep is None:
            from tracer.kernel.sweep import ReleaseSweep

            self._sweep = ReleaseSweep(
                self._list_dead, self._programs().maps["zt_tracked"].delete_each
            )
        return self._sweep

    def _open_ring(self) -> RingReader:
        if self._ring is None:
            from tracer.kernel.heap import keep_freed_memory
            from tracer.kernel.ring import RingReader
            from tracer.wire.layout import RECORD

            keep_freed_memory()
            events = self._programs().maps["zt_events"]
            self._ring = RingReader(events.fd, events.max_entries, RECORD)
        return self._ring

    def _try_attach(self, row: Row, candidate: Candidate) -> str | None:
        loaded = self._programs()
        program_fd = loaded.programs.get(candidate.program)
        if program_fd is None:
            reason = loaded.refused[candidate.program]
        else:
            try:
                self._links[row.name] = attach.attach(candidate, program_fd)
            except OSError as error:
                reason = f"it cannot be attached: {error.strerror}"
                # What one can do without may ask for more privilege than the rest.
                if row.required or row.spare_for is None:
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
