"""Signal numbers and names, as Linux numbers them on x86-64 and arm64."""

from __future__ import annotations

import signal as _signal
from enum import StrEnum
from functools import lru_cache

SIGRTMIN = 34
"""The first real-time signal glibc and musl leave to programs."""
SIGRTMAX = 64

SIGHUP = int(_signal.SIGHUP)
SIGINT = int(_signal.SIGINT)
SIGQUIT = int(_signal.SIGQUIT)
SIGABRT = int(_signal.SIGABRT)
SIGKILL = int(_signal.SIGKILL)
SIGPIPE = int(_signal.SIGPIPE)
SIGALRM = int(_signal.SIGALRM)
SIGTERM = int(_signal.SIGTERM)
SIGCHLD = int(_signal.SIGCHLD)
SIGCONT = int(_signal.SIGCONT)
SIGURG = int(_signal.SIGURG)
SIGXCPU = int(_signal.SIGXCPU)
SIGXFSZ = int(_signal.SIGXFSZ)
SIGVTALRM = int(_signal.SIGVTALRM)
SIGPROF = int(_signal.SIGPROF)
SIGSYS = int(_signal.SIGSYS)

FAULT_SIGNALS = frozenset(
    int(s)
    for s in (_signal.SIGSEGV, _signal.SIGBUS, _signal.SIGILL, _signal.SIGFPE, _signal.SIGTRAP)
)

DEFAULT_IGNORED = frozenset(
    int(s) for s in (_signal.SIGCHLD, _signal.SIGCONT, _signal.SIGURG, _signal.SIGWINCH)
)
"""Signals whose default action is to be dropped (kernel: sig_kernel_ignore)."""

DEFAULT_STOPS = frozenset(
    int(s) for s in (_signal.SIGSTOP, _signal.SIGTSTP, _signal.SIGTTIN, _signal.SIGTTOU)
)

_NAMES = {
    int(s): s.name
    for s in _signal.Signals
    if not s.name.startswith("SIGRT") and s.name not in ("SIGCLD", "SIGPOLL", "SIGIOT")
}
_NAMES[16] = "SIGSTKFLT"


class Disposition(StrEnum):
    """What a process had arranged for a signal when it was generated."""

    CAUGHT = "caught"
    DEFAULT = "default"
    IGNORED = "ignored"
    BLOCKED = "blocked"


class SignalResult(StrEnum):
    """What the kernel did with a signal (TRACE_SIGNAL_* of signal_generate)."""

    DELIVERED = "delivered"
    IGNORED = "ignored"
    ALREADY_PENDING = "already_pending"
    OVERFLOW = "overflow"
    LOST_INFO = "lost_info"


@lru_cache(maxsize=128)
def signal_name(signo: int) -> str:
    """Name a signal: ``SIGKILL``, ``SIGRTMIN+3``; ``SIG99`` if there is none.

    >>> signal_name(9), signal_name(34), signal_name(37)
    ('SIGKILL', 'SIGRTMIN', 'SIGRTMIN+3')
    """
    if SIGRTMIN <= signo <= SIGRTMAX:
        return "SIGRTMIN" if signo == SIGRTMIN else f"SIGRTMIN+{signo - SIGRTMIN}"
    return _NAMES.get(signo, f"SIG{signo}")


def parse_signal(text: str) -> int:
    """Read ``9``, ``KILL``, ``SIGKILL``, ``RTMIN+3`` or ``SIGRTMAX-1``.

    Raises:
        ValueError: No signal has this number or name.
    """
    name = text.strip().upper()
    if name.removeprefix("SIG").isdecimal():
        # SIG32 and SIG33 are glibc's own and have no other name.
        name = name.removeprefix("SIG")
        signo = int(name)
        if 1 <= signo <= SIGRTMAX:
            return signo
        raise ValueError(f"no signal has the number {text.strip()}")
    name = name.removeprefix("SIG")
    for base, origin in (("RTMIN", SIGRTMIN), ("RTMAX", SIGRTMAX)):
        if name.startswith(base):
            offset = name.removeprefix(base)
            try:
                signo = origin + (int(offset) if offset else 0)
            except ValueError:
                break
            if SIGRTMIN <= signo <= SIGRTMAX:
                return signo
            break
    for signo, known in _NAMES.items():
        if known == f"SIG{name}":
            return signo
    aliases = {"CLD": SIGCHLD, "IOT": SIGABRT, "POLL": int(_signal.SIGIO)}
    if name in aliases:
        return aliases[name]
    raise ValueError(f"no signal is called {text.strip()!r}")
