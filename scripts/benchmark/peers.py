"""What is compared: how each tool is started, known to be ready, and its output counted."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from benchmark import counting
from benchmark.counting import Seen

_HERE = Path(__file__).parent

FORK, FORK_ONE, EXEC, SIGNAL = "fork", "fork-1", "exec", "signal"
STORMS = (FORK, FORK_ONE, EXEC, SIGNAL)


class Where(Enum):
    """Where the workload runs."""

    HOST = "host"
    CONTAINER = "container"


@dataclass(frozen=True)
class Setting:
    """What a command line may need to know.

    Args:
        pid: The workload's.
        pidns_inum: The workload's PID namespace.
        other_pidns_inum, other_cgroup: Of a container where nothing happens.
        output: Where a tool that writes files by itself shall write.
        kernel_tree: What BCC_KERNEL_SOURCE is.
    """

    pid: int
    pidns_inum: int
    other_pidns_inum: int
    other_cgroup: Path
    output: Path
    kernel_tree: Path


@dataclass(frozen=True)
class Peer:
    """A tool, started in one way.

    Args:
        name: Short, for --only.
        title: For the tables.
        command: The command line.
        storms: Which storms it is measured in.
        ready: A text on stdout or stderr that says it is attached; where None
            it is when its first event is out.
        seen: Counts what it has told; None where it tells of nothing.
        where: Where the workload runs for it.
        tells_at_once: Whether events can be awaited on its terminal.
        takes_one_interrupt: Whether one Ctrl-C ends it for sure. BCC drops one that
            comes while a callback runs; zomtrace takes a second one for impatience.
        knows_names: Whether its lines have the process's name, not its pid alone.
    """

    name: str
    title: str
    command: Callable[[Setting], Sequence[str | Path]]
    storms: tuple[str, ...]
    ready: bytes | None = None
    seen: Callable[[Path, Path], Seen] | None = None
    where: Where = Where.HOST
    tells_at_once: bool = False
    knows_names: bool = True
    takes_one_interrupt: bool = True


def _zomtrace(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).parent / "zomtrace"), *arguments]


def _tool(*names: str) -> str:
    for name in names:
        path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin")
        if path is not None:
            return path
    return names[0]


_TRACING = b"press Ctrl-C to stop"

NOTHING = Peer("nothing", "nothing attached", lambda _: (), STORMS)
NOTHING_CONTAINER = Peer(
    "nothing-container", "nothing attached, in a container", lambda _: (), STORMS,
    where=Where.CONTAINER,
)  # fmt: skip

PEERS = (
    Peer(
        "bare",
        "programs that do nothing",
        lambda _: ("/usr/bin/python3", _HERE / "bare.py"),
        STORMS,
        ready=b"bare: attached",
    ),
    Peer(
        "zt-other",
        "zomtrace, of another container",
        lambda s: _zomtrace("--pidns", str(s.other_pidns_inum), "--cgroup", str(s.other_cgroup)),
        STORMS,
        ready=_TRACING,
    ),
    Peer(
        "zt-container",
        "zomtrace, of this container",
        lambda s: _zomtrace("--pidns", str(s.pidns_inum), "--json"),
        STORMS,
        ready=_TRACING,
        seen=counting.zomtrace_json,
        where=Where.CONTAINER,
    ),
    Peer(
        "zt-all",
        "zomtrace --all",
        lambda s: _zomtrace("--all", "--report", str(s.output)),
        STORMS,
        ready=_TRACING,
        seen=counting.zomtrace_report,
    ),
    Peer(
        "zt-json",
        "zomtrace --all --json",
        lambda _: _zomtrace("--all", "--json"),
        STORMS,
        ready=_TRACING,
        seen=counting.zomtrace_json,
        tells_at_once=True,
    ),
    Peer(
        "zt-record",
        "zomtrace record --all",
        lambda s: _zomtrace("record", "--all", "-w", str(s.output)),
        STORMS,
        ready=_TRACING,
        seen=counting.zomtrace_capture,
    ),
    Peer(
        "exitsnoop",
        "bcc exitsnoop",
        lambda _: (_tool("exitsnoop-bpfcc", "exitsnoop"),),
        (FORK, FORK_ONE, EXEC),
        seen=counting.exitsnoop,
        tells_at_once=True,
        takes_one_interrupt=False,
    ),
    Peer(
        "killsnoop",
        "bcc killsnoop",
        lambda _: (_tool("killsnoop-bpfcc", "killsnoop"),),
        (SIGNAL,),
        seen=counting.killsnoop,
        tells_at_once=True,
        takes_one_interrupt=False,
    ),
    Peer(
        "bpftrace-exit",
        "bpftrace, exits",
        lambda _: (_tool("bpftrace"), _HERE / "scripts/exits.bt"),
        (FORK, FORK_ONE, EXEC),
        seen=counting.bpftrace_exits,
        tells_at_once=True,
    ),
    Peer(
        "bpftrace-signal",
        "bpftrace, signals",
        lambda _: (_tool("bpftrace"), _HERE / "scripts/signals.bt"),
        (SIGNAL,),
        seen=counting.bpftrace_signals,
        tells_at_once=True,
    ),
    Peer(
        "forkstat",
        "forkstat -e exit",
        lambda _: (_tool("forkstat"), "-e", "exit"),
        (FORK, FORK_ONE),
        seen=counting.forkstat,
        tells_at_once=True,
        knows_names=False,
    ),
    Peer(
        "strace",
        "strace -f -e trace=none",
        lambda s: (
            _tool("strace"), "-f", "-q", "-e", "trace=none", "-e", "signal=USR1",
            "-o", "/dev/stdout", "-p", str(s.pid),
        ),
        (FORK, FORK_ONE),
        seen=counting.strace,
        tells_at_once=True,
        knows_names=False,
    ),
    Peer(
        "perf-exit",
        "perf trace, exits",
        lambda _: (
            _tool("perf"), "trace", "-a", "--no-syscalls", "-e", "sched:sched_process_exit",
            "-o", "/dev/stdout",
        ),
        (FORK, FORK_ONE, EXEC),
        seen=counting.perf_exits,
        tells_at_once=True,
    ),
    Peer(
        "perf-signal",
        "perf trace, signals",
        lambda _: (
            _tool("perf"), "trace", "-a", "--no-syscalls", "-e", "signal:signal_generate",
            "-o", "/dev/stdout",
        ),
        (SIGNAL,),
        seen=counting.perf_signals,
        tells_at_once=True,
    ),
)  # fmt: skip

TINY_RING = Peer(
    "zt-tiny",
    "zomtrace, of this container, a ring of 32 KiB",
    lambda s: (sys.executable, "-P", _HERE / "tiny_ring.py",
               "--pidns", str(s.pidns_inum), "--json", "-v"),
    (),
    ready=_TRACING,
    seen=counting.zomtrace_json,
    where=Where.CONTAINER,
)  # fmt: skip


def peer(name: str) -> Peer:
    """Find one by its name."""
    return next(one for one in (*PEERS, TINY_RING) if one.name == name)
