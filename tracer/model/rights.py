"""Which capabilities each part of the work needs, and what is lost without them.

This table is what ``zomtrace doctor`` checks and what a refusal names; SECURITY.md
explains it at length. Nothing here depends on the user id: a container's root
may hold none of these, another user all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Capability(IntEnum):
    """Bits of CapEff (include/uapi/linux/capability.h)."""

    CAP_DAC_OVERRIDE = 1
    CAP_DAC_READ_SEARCH = 2
    CAP_KILL = 5
    CAP_NET_ADMIN = 12
    CAP_SYS_PTRACE = 19
    CAP_SYS_ADMIN = 21
    CAP_SYS_RESOURCE = 24
    CAP_PERFMON = 38
    CAP_BPF = 39


_INIT_USERNS_INUM = 0xEFFFFFFD
"""The initial user namespace's inode (include/linux/proc_ns.h, PROC_USER_INIT_INO)."""


@dataclass(frozen=True, slots=True)
class Right:
    """Something that takes capabilities.

    Args:
        name: What may be done, as doctor names the row.
        choices: Each a set of capabilities that suffices, the least first.
        purpose: What it is for.
        loss: What is lost without it.
        is_required: Nothing can be traced without it.
    """

    name: str
    choices: tuple[frozenset[Capability], ...]
    purpose: str
    loss: str
    is_required: bool = False

    @property
    def ordered_choices(self) -> tuple[tuple[Capability, ...], ...]:
        """The choices, as one would read them out."""
        return tuple(tuple(sorted(choice, reverse=True)) for choice in self.choices)

    def missing(self, held: int) -> tuple[Capability, ...]:
        """What the first choice lacks of ``held`` (a CapEff); nothing where any choice is held."""
        lacking = [
            tuple(each for each in choice if not held >> each & 1)
            for choice in self.ordered_choices
        ]
        return () if () in lacking else lacking[0]


def _any_of(*capabilities: Capability) -> tuple[frozenset[Capability], ...]:
    return tuple(frozenset({capability}) for capability in capabilities)


LOAD_BPF = Right(
    "BPF rights",
    (frozenset({Capability.CAP_BPF, Capability.CAP_PERFMON}), *_any_of(Capability.CAP_SYS_ADMIN)),
    purpose="load and attach the programs",
    loss="nothing can be traced; zombies, report, why and export still work",
    is_required=True,
)
SEE_PROCESSES = Right(
    "other processes",
    _any_of(Capability.CAP_SYS_PTRACE),
    purpose="read the namespaces, system calls and exit statuses of other users' processes",
    loss="-c, stop and --pidns cannot tell which namespace a process is in; zombies and ZT201"
    " do not say what a parent is blocked in",
)
READ_STATE = Right(
    "runtime files",
    _any_of(Capability.CAP_DAC_READ_SEARCH, Capability.CAP_DAC_OVERRIDE),
    purpose="read the runtimes' container state under /run",
    loss="the containers there are not found",
)
ASK_ENGINES = Right(
    "engine sockets",
    _any_of(Capability.CAP_DAC_OVERRIDE),
    purpose="query Docker and podman about their containers",
    loss="the containers there are not found; membership in the socket's group is also enough",
)
MAKE_NAMESPACES = Right(
    "new namespaces",
    _any_of(Capability.CAP_SYS_ADMIN),
    purpose="start a command in a PID namespace of its own",
    loss="zomtrace run and demo do not work",
)
SEND_SIGNALS = Right(
    "signals",
    _any_of(Capability.CAP_KILL),
    purpose="signal other users' processes",
    loss="zomtrace stop can stop only containers of the same user",
)
LISTEN_TO_PROCESSES = Right(
    "process events",
    _any_of(Capability.CAP_NET_ADMIN),
    purpose="get forks, execs and exits without BPF (--source netlink)",
    loss="--source netlink does not work; a trace with BPF does not need it",
)
RIGHTS = (
    LOAD_BPF,
    LISTEN_TO_PROCESSES,
    SEE_PROCESSES,
    READ_STATE,
    ASK_ENGINES,
    MAKE_NAMESPACES,
    SEND_SIGNALS,
)


def held_capabilities(status: str, userns_inum: int) -> int:
    """Read the capabilities that count for the kernel itself, as a mask.

    Those of another user namespace than the first do not, however many there are.

    Args:
        status: /proc/self/status.
        userns_inum: The inode of /proc/self/ns/user.
    """
    if userns_inum != _INIT_USERNS_INUM:
        return 0
    return int(status_field(status, "CapEff") or "0", 16)


def is_initial_userns(inum: int) -> bool:
    """Whether a user namespace is the first one, whose capabilities count."""
    return inum == _INIT_USERNS_INUM


def status_field(status: str, name: str) -> str | None:
    """Find a line of /proc/PID/status."""
    for line in status.splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return value.strip()
    return None


def names(capabilities: Iterable[Capability]) -> str:
    """``CAP_BPF and CAP_PERFMON``, for a sentence."""
    *most, last = [capability.name for capability in capabilities]
    return f"{', '.join(most)} and {last}" if most else last
