"""What to trace: containers, namespaces, cgroups, or everything."""

from __future__ import annotations

from dataclasses import dataclass, field

from tracer.model.signals import SIGTERM


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
            told from its neighbours by cgroup.
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

    @property
    def label(self) -> str:
        """The name if it has one, else the id's first 12 characters."""
        return self.name or self.id[:12]


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
