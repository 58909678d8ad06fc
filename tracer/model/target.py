"""What to trace: containers, namespaces, cgroups, or everything."""

from __future__ import annotations

from dataclasses import dataclass, field

from tracer.model.identity import ProcessKey
from tracer.model.signals import SIGTERM

OWN_RUNTIME = "zomtrace"
"""What is called the runtime of a command that this program started itself."""


@dataclass(frozen=True, slots=True)
class Container:
    """A running container, as its runtime and /proc describe it.

    Args:
        id: The runtime's full id.
        name: What people call it, or None.
        runtime: Who manages it: docker, containerd, cri, podman, runc, crun,
            or zomtrace for ``zomtrace run``.
        init_host_pid: The process the runtime started.
        init_start_boot_ns: Its start, to the 10 ms tick of /proc; None where
            it could not be read.
        pidns_inum: The PID namespace it runs in.
        has_own_pidns: Whether that namespace's PID 1 is this container's init;
            otherwise (--pid=host, a pod's shared namespace) the container is
            distinguished from its neighbours by cgroup.
        cgroup_path: The cgroup directory, or None where unknown.
        cgroup_id: That directory's inode: the id the kernel uses.
        stop_signo: The configured stop signal.
        pod: Kubernetes namespace/name, or None.
        runtime_pids: Processes known to act for the runtime (the tracer itself
            in ``zomtrace run``).
        stop_timeout_s: The grace its runtime gives by default, s; None = unknown.
        cgroup_hierarchy: Whose ``cgroup_id`` this is: ``v2``, or the v1 controller
            (``pids``, ...) where the v2 hierarchy cannot tell the container apart.
        engine_address: How its runtime is reached: Docker's API URL, containerd's
            socket, podman's storage or an OCI runtime's state directory.
        engine_namespace: containerd's namespace, else None.
        descendant_cgroup_ids: Where ``has_own_pidns`` is false, the cgroups below
            ``cgroup_id`` at the time it was resolved; later ones are learned from
            whose children enter them.
        owner_uid: The user in whose place it was found (``/run/user/UID``): all that is
            said of it here is that user's word. None: root's, or our own.
        owner: What to call that user.
        namespace_uid: Who made its user namespace, the outermost below the initial one;
            None where it has none, or where that is not known.
    """

    id: str
    name: str | None
    runtime: str
    init_host_pid: int
    init_start_boot_ns: int | None
    pidns_inum: int
    has_own_pidns: bool
    cgroup_path: str | None
    cgroup_id: int | None
    stop_signo: int = SIGTERM
    pod: str | None = None
    runtime_pids: tuple[int, ...] = ()
    stop_timeout_s: float | None = None
    cgroup_hierarchy: str | None = None
    engine_address: str | None = None
    engine_namespace: str | None = None
    descendant_cgroup_ids: frozenset[int] = frozenset()
    owner_uid: int | None = None
    owner: str | None = None
    namespace_uid: int | None = None

    @property
    def label(self) -> str:
        """The name if it has one, else the id's first 12 characters; and whose it is."""
        return self._owned(self.name or self.id[:12])

    @property
    def shown_name(self) -> str | None:
        """The name, if it has one; another user's with that user's: ``web (user alice's)``."""
        return None if self.name is None else self._owned(self.name)

    @property
    def init_key(self) -> ProcessKey:
        """Who its init is, to the tick of /proc."""
        return ProcessKey(self.init_host_pid, self.init_start_boot_ns or 0)

    def is_init(self, process: ProcessKey) -> bool:
        """Whether a process is its init, by the kernel's start or by that of /proc."""
        return self.init_key.same_process(process)

    def is_same_run(self, other: Container) -> bool:
        """Whether both speak of one run of one container."""
        return (self.id, self.init_host_pid) == (other.id, other.init_host_pid) and self.is_init(
            other.init_key
        )

    def _owned(self, name: str) -> str:
        return name if self.owner is None else f"{name} ({self.owner}'s)"


@dataclass(frozen=True, slots=True)
class KernelFilter:
    """What the BPF side lets through; a process passes if any part matches.

    Args:
        pidns_inums: PID namespaces, matched at any level of nesting.
        cgroup_ids: Cgroups, matched with all their descendants.
        everything: The whole host.
    """

    pidns_inums: frozenset[int] = frozenset()
    cgroup_ids: frozenset[int] = frozenset()
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """What a session traces, and how it was named."""

    description: str
    kernel_filter: KernelFilter
    containers: tuple[Container, ...] = field(default=())
