"""What is a zombie right now, and whose fault it is: `zomtrace zombies`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial

from tracer.model.events import SigchldAction
from tracer.model.zombie_scan import ScannedZombie, ZombieBlame, ZombieParent, ZombieScan
from tracer.report.jsonobject import JsonObject, clean_object
from tracer.report.page import DEFAULT_WIDTH, Page, Span, Style, column
from tracer.wording.pids import format_pids
from tracer.wording.times import format_duration, format_rfc3339
from tracer.wording.verdicts import BLAME_ADVICE, BLAME_MEANING, SIGCHLD_MEANING

_INDENT = 4
_COUNT_WIDTH = 9
_MAX_GROUPS = 40
_MAX_LINES = 190
_MAX_THREADS = 6
_MAX_COMMAND = 200
_STOPPED = frozenset("tT")


def zombies_page(scan: ZombieScan, *, width: int = DEFAULT_WIDTH) -> Page:
    """Lay out the zombies, one block for those with the same parent and blame."""
    page = Page(width)
    page.text(_headline(scan), style=Style.STRONG)
    if not scan.zombies:
        return page
    page.text(
        "A zombie is a process that has exited but has not been reaped (wait). It occupies a pid, "
        "and no signal can remove it.",
        style=Style.DIM,
    )
    groups = group_scanned(scan.zombies)
    shown = page.add_within(
        (partial(_add_group, group=group) for group in groups[:_MAX_GROUPS]), _MAX_LINES
    )
    rest = groups[shown:]
    if rest:
        page.blank()
        page.text(f"... and {sum(map(len, rest))} more zombies; --json lists all parents")
    return page


def group_scanned(zombies: Iterable[ScannedZombie]) -> list[tuple[ScannedZombie, ...]]:
    """Group zombies by whose fault they are; the most numerous first."""
    groups: dict[tuple[object, ...], list[ScannedZombie]] = {}
    for zombie in zombies:
        parent = zombie.parent.host_pid if zombie.parent else None
        key: tuple[object, ...] = (
            zombie.blame,
            parent,
            zombie.tracer_host_pid,
            zombie.container_id,
        )
        if zombie.blame is ZombieBlame.LEADER:
            key = (*key, zombie.host_pid)
        groups.setdefault(key, []).append(zombie)
    return sorted((tuple(group) for group in groups.values()), key=lambda group: -len(group))


def advise(zombie: ScannedZombie) -> str:
    """Say what to do about a zombie."""
    parent = zombie.parent
    if (
        parent is not None
        and parent.state in _STOPPED
        and zombie.blame not in (ZombieBlame.LEADER, ZombieBlame.TRACER)
    ):
        return f"Resume the parent first (kill -CONT {parent.host_pid}), then check again."
    return BLAME_ADVICE[zombie.blame]


def zombies_to_json(scan: ZombieScan, clock_offset_ns: int, most: int | None = None) -> JsonObject:
    """Build the scan's object.

    Args:
        scan: What /proc showed.
        clock_offset_ns: CLOCK_REALTIME minus CLOCK_BOOTTIME, ns.
        most: This many zombies are listed, some of each group; the others are counted by
            whose fault they are. None = all are listed.
    """
    listed, folded = _choose(scan.zombies, most)
    return clean_object(
        {
            "schema": "zomtrace.zombies/1",
            "time": format_rfc3339(scan.boot_ns + clock_offset_ns),
            "boot_ns": scan.boot_ns,
            "processes": scan.processes,
            "zombies": [_zombie_object(zombie) for zombie in listed],
            "folded": {
                "zombies": [_folded_object(group) for group in folded],
                "total": sum(map(len, folded)),
            },
        }
    )


def _choose(
    zombies: Sequence[ScannedZombie], most: int | None
) -> tuple[Sequence[ScannedZombie], list[tuple[ScannedZombie, ...]]]:
    """Choose which zombies to list, and of which there are more, by group."""
    if most is None or len(zombies) <= most:
        return zombies, []
    groups = group_scanned(zombies)
    of_each = max(1, most // len(groups))
    pids = {zombie.host_pid for group in groups[:most] for zombie in group[:of_each]}
    rest = [tuple(each for each in group if each.host_pid not in pids) for group in groups]
    folded = [group for group in rest if group]
    if len(folded) > most:
        # One group for all the small ones, without their parents.
        folded = [*folded[:most], tuple(each for group in folded[most:] for each in group)]
    return [zombie for zombie in zombies if zombie.host_pid in pids], folded


def _folded_object(group: Sequence[ScannedZombie]) -> JsonObject:
    one = group[0]
    is_one_parents = len({each.parent.host_pid if each.parent else None for each in group}) == 1
    parent = one.parent if is_one_parents else None
    return {
        "count": len(group),
        "blame": one.blame if is_one_parents else None,
        "container_id": one.container_id if is_one_parents else None,
        "parent_host_pid": parent.host_pid if parent is not None else None,
        "parent_comm": parent.comm if parent is not None else None,
        "zombie_ns_min": min(each.zombie_at_least_ns for each in group),
        "zombie_ns_max": max(each.process_age_ns for each in group),
    }


def _zombie_object(zombie: ScannedZombie) -> JsonObject:
    status = zombie.status
    return {
        "host_pid": zombie.host_pid,
        "ns_pid": zombie.ns_pid,
        "start_boot_ns": zombie.start_boot_ns,
        "comm": zombie.comm,
        "pidns_inum": zombie.pidns_inum,
        "cgroup_path": zombie.cgroup_path,
        "container_id": zombie.container_id,
        "container_name": zombie.container_name,
        "blame": zombie.blame,
        "advice": advise(zombie),
        "zombie_ns_min": zombie.zombie_at_least_ns,
        "zombie_ns_max": zombie.process_age_ns,
        "exit_code": status.exit_code if status else None,
        "term_signal": status.signal_name if status else None,
        "core_dumped": status.core_dumped if status else None,
        "parent_host_pid": zombie.parent.host_pid if zombie.parent else None,
        "parent_comm": zombie.parent.comm if zombie.parent else None,
        "parent": _parent_object(zombie.parent),
        "tracer_host_pid": zombie.tracer_host_pid,
        "tracer_comm": zombie.tracer_comm,
        "live_threads": [
            {
                "host_tid": thread.host_tid,
                "comm": thread.comm,
                "state": thread.state,
                "syscall": thread.syscall,
                "wchan": thread.wchan,
            }
            for thread in zombie.live_threads
        ],
        "threads": zombie.threads,
    }


def _parent_object(parent: ZombieParent | None) -> JsonObject | None:
    if parent is None:
        return None
    return {
        "host_pid": parent.host_pid,
        "ns_pid": parent.ns_pid,
        "start_boot_ns": parent.start_boot_ns,
        "comm": parent.comm,
        "cmdline": parent.cmdline,
        "pidns_inum": parent.pidns_inum,
        "is_ns_init": parent.is_ns_init,
        "state": parent.state,
        "sigchld": parent.sigchld,
        "threads": parent.threads,
        "is_waiting": parent.is_waiting,
        "syscall": parent.syscall,
        "wchan": parent.wchan,
    }


def _headline(scan: ZombieScan) -> str:
    count = len(scan.zombies)
    if not count:
        return f"No zombies among {scan.processes} processes."
    noun = "zombie" if count == 1 else "zombies"
    return f"{count} {noun} among {scan.processes} processes."


def _add_group(page: Page, group: Sequence[ScannedZombie]) -> None:
    one = group[0]
    page.add()
    for comm, count in Counter(zombie.comm for zombie in group).most_common(8):
        page.add(
            column(f"{count} x", _COUNT_WIDTH - 1, Style.STRONG, right=True),
            Span(" "),
            Span(comm, Style.NAME),
        )
    where = f" in {one.container_name or one.container_id[:12]}" if one.container_id else ""
    page.text(
        f"host {format_pids(zombie.host_pid for zombie in group)}{where}; "
        f"zombie for {_age(group)}; {_endings(group)}",
        indent=_INDENT,
        style=Style.DIM,
    )
    page.text(BLAME_MEANING[one.blame], indent=_INDENT)
    if one.blame is ZombieBlame.TRACER:
        _add_fact(page, "tracer", f"{one.tracer_comm or 'a process'}[{one.tracer_host_pid}]")
    if one.parent is not None:
        is_at_fault = one.blame not in (ZombieBlame.LEADER, ZombieBlame.TRACER)
        _add_parent(page, one.parent, is_at_fault=is_at_fault)
    for thread in one.live_threads[:_MAX_THREADS]:
        blocked = _blocked(thread.syscall, thread.wchan)
        _add_fact(page, "thread", f"{thread.comm}[{thread.host_tid}], {blocked}")
    left = max(len(one.live_threads), one.threads - 1) - _MAX_THREADS
    if one.live_threads and left > 0:
        _add_fact(page, "", f"and {left} more threads")
    _add_fact(page, "To do", advise(one), Style.GOOD)


def _add_parent(page: Page, parent: ZombieParent, *, is_at_fault: bool) -> None:
    init = ", PID 1 of its namespace" if parent.is_ns_init else ""
    _add_fact(page, "parent", f"{parent.comm}[{parent.host_pid}]{init}")
    if not is_at_fault:
        return
    command = " ".join(parent.cmdline or ())
    if command and command != parent.comm:
        shown = command if len(command) <= _MAX_COMMAND else f"{command[:_MAX_COMMAND]} ..."
        _add_fact(page, "command", shown)
    _add_fact(page, "state", _parent_state(parent))
    about = SIGCHLD_MEANING[parent.sigchld]
    if about:
        late = ""
        if parent.sigchld is SigchldAction.IGNORED:
            late = "; these exited before that, or are not its own children"
        _add_fact(page, "SIGCHLD", f"it {about}{late}")


def _parent_state(parent: ZombieParent) -> str:
    if parent.state in _STOPPED:
        return "stopped by SIGSTOP or a debugger: it cannot reap until it is resumed (SIGCONT)"
    if parent.state == "D":
        return f"in uninterruptible sleep, {_blocked(parent.syscall, parent.wchan)}"
    if parent.is_waiting:
        return "waiting for a child, possibly for another one"
    waits = "" if parent.is_waiting is None else "not waiting for children; "
    return f"{waits}{_blocked(parent.syscall, parent.wchan)}"


def _blocked(syscall: str | None, wchan: str | None) -> str:
    if syscall is None and wchan is None:
        return "running, or blocked in an unknown call"
    if syscall is None:
        return f"blocked in the kernel function {wchan}"
    inside = f" (kernel function {wchan})" if wchan else ""
    return f"blocked in {syscall}{inside}"


def _age(group: Sequence[ScannedZombie]) -> str:
    at_least = min(zombie.zombie_at_least_ns for zombie in group)
    at_most = max(zombie.process_age_ns for zombie in group)
    low = f"at least {format_duration(at_least)}, " if at_least else ""
    return f"{low}at most {format_duration(at_most)}"


def _endings(group: Sequence[ScannedZombie]) -> str:
    endings: Counter[str] = Counter()
    for zombie in group:
        if zombie.live_threads:
            endings["other threads are still running"] += 1
        elif zombie.status is None:
            endings["exit status unknown"] += 1
        elif zombie.status.signo is not None:
            endings[f"died of {zombie.status.signal_name}"] += 1
        else:
            endings[f"exited with code {zombie.status.exit_code}"] += 1
    if len(endings) == 1:
        return next(iter(endings))
    return ", ".join(f"{count} {ending}" for ending, count in endings.most_common(4))


def _add_fact(page: Page, label: str, text: str, style: Style = Style.DIM) -> None:
    lead = (Span(" " * _INDENT), column(f"{label}:" if label else "", 10, style))
    page.entry(lead, text)
