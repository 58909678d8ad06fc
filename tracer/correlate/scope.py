"""A scope: what can be stopped as one, and who belongs to it.

It is a PID namespace with its init, or a container that shares a namespace
(``--pid=host``, a pod) and is distinguished from its neighbours by cgroup.
"""

from __future__ import annotations

from collections.abc import KeysView
from dataclasses import dataclass, field

from tracer.correlate.stops import StopState
from tracer.model.identity import PidnsKey, ProcessKey
from tracer.model.signals import SIGTERM
from tracer.model.target import OWN_RUNTIME, Container


@dataclass(slots=True, eq=False)
class Scope:
    """One PID namespace, or one container in a shared namespace.

    Args:
        pidns: The namespace; for a shared one, the one it shares.
        init: PID 1, or the process the runtime started.
        is_shared: Distinguished from its neighbours by cgroup.
        level: How deep the namespace is nested; 0 = the host's.
        container: What it is to its runtime, or None.
        outer: The namespace around, where that is traced too.
        outer_inum: The namespace its init's parent lived in.
        present: The members still in the process table, init included, as they came.
        stops: Its stops, in order.
        stopped: The members that are stopped, by SIGSTOP or the like.
        init_exit_ns: When init's last thread ended.
        zap_ns: When the kernel began to kill what init had left.
        is_zap_bound: It may have begun before: that was before tracing did.
        teardown_end_ns: When it was done, where a hook saw it.
        init_notified_ns: When init's parent was notified of its exit.
        gone_ns: By when every process of a namespace was released, init included.
        cgroup_ids: A shared container's cgroups, as far as they are known.
    """

    pidns: PidnsKey
    init: ProcessKey
    is_shared: bool
    level: int = 0
    container: Container | None = None
    outer: Scope | None = None
    outer_inum: int | None = None
    present: dict[ProcessKey, None] = field(default_factory=dict)
    stops: list[StopState] = field(default_factory=list)
    stopped: dict[ProcessKey, None] = field(default_factory=dict)
    init_exit_ns: int | None = None
    zap_ns: int | None = None
    is_zap_bound: bool = False
    teardown_end_ns: int | None = None
    init_notified_ns: int | None = None
    gone_ns: int | None = None
    cgroup_ids: set[int] = field(default_factory=set)

    @property
    def unreleased(self) -> KeysView[ProcessKey]:
        """The members still in the process table, init included."""
        return self.present.keys()

    @property
    def stop_signo(self) -> int:
        """The signal a runtime stops it with."""
        return self.container.stop_signo if self.container else SIGTERM

    @property
    def is_ours(self) -> bool:
        """Whether this program started it: a command of ``zomtrace run``."""
        return self.container is not None and self.container.runtime == OWN_RUNTIME

    def note_zap(self, boot_ns: int) -> None:
        """Enter a sign that the kernel kills what init left."""
        if self.zap_ns is None or self.is_zap_bound:
            self.zap_ns, self.is_zap_bound = boot_ns, False

    @property
    def open_stop(self) -> StopState | None:
        """The stop under way, or None."""
        return self.stops[-1] if self.stops and not self.stops[-1].is_closed else None

    @property
    def asked_stop(self) -> StopState | None:
        """The stop under way, if a stop signal was sent in it."""
        stop = self.open_stop
        return stop if stop is not None and stop.stop_signal is not None else None

    @property
    def label(self) -> str:
        """How to call it in a sentence."""
        return self.container.label if self.container else f"PID namespace {self.pidns.inum}"
