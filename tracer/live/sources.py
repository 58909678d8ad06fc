"""Where a trace has its records from: BPF, or the process connector if asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracer.errors import BpfUnavailableError, PrivilegeError
from tracer.model.events import BPF_SOURCE

if TYPE_CHECKING:
    from tracer.kernel.netlink_source import NetlinkSource
    from tracer.kernel.source import BpfSource


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Which source, and how it is to be used.

    Args:
        name: ``bpf`` or ``netlink``.
        allow_kprobes: False traces by tracepoints alone.
        is_choice: The user could have chosen the other one: where BPF cannot be
            had the error says so.
    """

    name: str = BPF_SOURCE
    allow_kprobes: bool = True
    is_choice: bool = False


def open_source(
    options: SourceOptions, *, everything: bool, cgroup_v1: bool = False
) -> BpfSource | NetlinkSource:
    """Make the source that was asked for, never another one.

    Args:
        options: Which.
        everything: Whether the whole host is going to be traced.
        cgroup_v1: Tell containers apart by cgroup v1's pids controller.
    """
    if options.name == "netlink":
        from tracer.kernel.netlink_source import NetlinkSource

        return NetlinkSource(cgroup_v1=cgroup_v1)
    from tracer.kernel.source import BpfSource

    return BpfSource(
        everything=everything, allow_kprobes=options.allow_kprobes, cgroup_v1=cgroup_v1
    )


@contextmanager
def naming_the_other(options: SourceOptions) -> Iterator[None]:
    """Attach in here: what BPF is refused for is raised with a word about the other source."""
    try:
        yield
    except (BpfUnavailableError, PrivilegeError) as error:
        if options.name == BPF_SOURCE and options.is_choice:
            other = "--source netlink reports forks, execs and exits without BPF"
            error.hint = f"{error.hint}; {other}" if error.hint else other
        raise
