"""Whether processes have done what they were started for: all asleep, and for a while."""

from __future__ import annotations

from pathlib import Path

from tests.support.waiting import wait_for
from tracer.procfs.member import read_descendants

_MOST = 100
_LOOKS = 40
"""At 5 ms each: who starts up on a busy machine waits for a processor, and is not asleep."""


def wait_at_rest(host_pid: int, *, with_comm: str | None = None) -> None:
    """Wait until the descendants of a process, and there are some, do nothing any more.

    Args:
        host_pid: The process.
        with_comm: A name that one of them must have by then.
    """
    last: list[tuple[str, ...]] = []
    looks = 0

    def is_so() -> bool:
        nonlocal last, looks
        now = [_activity(pid) for pid in sorted(read_descendants(host_pid, _MOST))]
        is_quiet = bool(now) and now == last and all(state == "S" for state, *_ in now)
        is_quiet &= with_comm is None or any(comm == with_comm for _, comm, *_ in now)
        looks = looks + 1 if is_quiet else 0
        last = now
        return looks >= _LOOKS

    wait_for(is_so, "all are at rest")


def _activity(host_pid: int) -> tuple[str, ...]:
    """State, name, pid, start and the processor time used so far."""
    try:
        stat = Path(f"/proc/{host_pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ("gone", "", str(host_pid))
    head, _, tail = stat.rpartition(")")
    fields = tail.split()
    return (fields[0], head.partition("(")[2], str(host_pid), fields[19], fields[11], fields[12])
