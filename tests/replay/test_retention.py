"""What a trace keeps in detail, and that it counts all the rest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.support.events import (
    BASH,
    BEGIN,
    HOST,
    INIT,
    KILL,
    MS,
    PIDNS,
    RUNC,
    SHIM,
    TERM,
    WEB,
    a_fork,
    a_kernel_kill,
    a_notice,
    a_process,
    a_reap,
    a_seed,
    a_signal,
    a_teardown_kill,
    an_exit,
    attached,
    start_of,
)
from tests.support.lifetimes import (
    DETAIL,
    a_death,
    a_lifetime,
    by_end,
    chained,
    concluded,
    fed,
    who,
)
from tracer.correlate.correlator import CorrelatorOptions
from tracer.diagnose.summary import correlate
from tracer.model.events import Event
from tracer.report.jsonreport import render_report_file
from tracer.report.text import MOST_LINES, render_report


def test_a_short_trace_lists_everybody() -> None:
    report = concluded(fed(chained(a_lifetime(n) for n in range(DETAIL))))
    assert len(report.processes) == DETAIL + 1
    assert set(report.folded.totals.values()) == {0}


def test_of_many_uneventful_processes_a_few_are_listed_and_all_are_counted() -> None:
    correlator = fed(chained(a_lifetime(n, code=n % 3, comm=f"job{n % 2}") for n in range(5_000)))
    report = concluded(correlator)
    assert len(correlator.table) < 2 * DETAIL
    assert len(report.processes) < 2 * DETAIL
    ended: list[tuple[object, ...]] = [
        (one.comm, one.exit_code) for one in report.processes if not one.is_init
    ]
    counts: Counter[tuple[object, ...]] = Counter(ended)
    for row in report.folded.processes:
        assert row.container_id == report.containers[0].id
        counts[row.comm or "", row.exit_code] += row.count
    assert counts == Counter((f"job{n % 2}", n % 3) for n in range(5_000))


def test_the_notable_are_not_folded_however_many_uneventful_ones_there_are() -> None:
    lives = [a_death(n) if n % 200 == 7 else a_lifetime(n) for n in range(5_000)]
    report = concluded(fed(chained(lives)))
    killed = [one for one in report.processes if one.cause is not None]
    assert len(killed) == 25
    (kill,) = [one for one in report.findings if one.code == "ZT106"]
    assert kill.processes == len(kill.host_pids) == 25


def test_a_rare_death_is_listed_however_many_others_there_are() -> None:
    lives = [a_death(n, by=RUNC if n == 3 else BASH) for n in range(3_000)]
    report = concluded(fed(chained(lives)))
    by = Counter(one.sender_comm for one in report.processes if one.cause is not None)
    assert by["runc"] == 1
    assert by["bash"] <= DETAIL
    assert by_end(report) == by_end(concluded(fed(chained(
        a_death(n, by=RUNC if n == 3 else BASH) for n in range(3_000)), detail=None)))  # fmt: skip


def test_a_finding_counts_those_it_does_not_list() -> None:
    report = concluded(fed(chained(a_death(n) for n in range(3_000))))
    (kill,) = [one for one in report.findings if one.code == "ZT106"]
    assert kill.processes == 3_000
    assert len(kill.host_pids) <= DETAIL
    assert kill.title == "bash killed 3000 x worker with SIGKILL"


def test_zombies_for_long_are_counted_and_the_longest_is_listed() -> None:
    late = [a_lifetime(n, lying=1500 + (500 if n == 1234 else 0)) for n in range(3_000)]
    events = sorted(chained(late), key=lambda event: event.boot_ns)
    report = concluded(fed(events))
    (finding,) = [one for one in report.findings if one.code == "ZT204"]
    # PID 1, who reaped them late, is one of those it is about.
    assert finding.processes == 3_001
    assert "after up to 2.0 s" in finding.title
    assert len(report.zombies) <= DETAIL
    assert len(report.zombies) + report.folded.totals["zombies"] == 3_000
    assert max(one.zombie_ns or 0 for one in report.zombies) == 2_000 * MS


def zombies_torn_down(number: int) -> list[Event]:
    """PID 1 with zombies; it is told to stop, and ends."""
    events: list[Event] = []
    for n in range(number):
        at = BEGIN + 10 + n / 100
        pid, what = who(n)
        events += [
            a_fork(at, pid, **what), an_exit(at + 0.001, pid, **what),
            a_notice(at + 0.002, pid, child_start=what["start_boot_ns"]),
        ]  # fmt: skip
    end = BEGIN + 10_000
    events += [a_signal(end), an_exit(end + 1, INIT, parent=SHIM)]
    for n in range(number):
        pid, what = who(n)
        events += [
            a_teardown_kill(end + 2 + n / 1000, pid, target_live_threads=0, subject=what),
            a_reap(end + 500 + n / 1000, pid, **what),
        ]  # fmt: skip
    return [*events, a_notice(end + 900, INIT, to=SHIM), a_reap(end + 901, INIT, by=SHIM)]


def test_a_stop_counts_members_it_does_not_list() -> None:
    report = concluded(fed(zombies_torn_down(3_001)))
    (stop,) = report.stops
    assert (stop.members, stop.already_zombie) == (3_001, 3_001)
    assert (stop.sigkilled, stop.signalled, stop.exited, stop.survived) == (0, 0, 0, 0)
    assert len(report.processes) < 2 * DETAIL
    assert len(report.zombies) + report.folded.totals["zombies"] == 3_001
    (leak,) = [one for one in report.findings if one.code == "ZT201"]
    assert leak.processes == 3_001 + 1  # The parent is one of those concerned.
    assert leak.title.endswith("leaked 3001 zombies")


def stops(number: int) -> Iterator[Event]:
    """PID namespaces that come and go: every fifth tells a child nothing as it ends."""
    for n in range(number):
        at = BEGIN + 10 + n
        init, start = 1000 + n * 2 % 20_000, (BEGIN + 10 + n) * MS - 1000
        inside: dict[str, Any] = {
            "pidns_inum": PIDNS + 1 + n % 3, "pidns_level": 1, "init_start_boot_ns": start
        }  # fmt: skip
        outside: dict[str, Any] = {"parent": BASH, "parent_pidns_inum": HOST}
        pid1 = {"start_boot_ns": start, "ns_pid": 1, "is_init": True, "comm": "init", **inside}
        child = {"start_boot_ns": start + 500, "ns_pid": 2, **inside,
                 "parent": init, "parent_start_boot_ns": start}  # fmt: skip
        yield a_fork(at, init, **pid1, **outside)
        if n % 5 == 0:
            yield a_fork(at + 0.1, init + 1, **child)
            yield a_signal(at + 0.2, init, TERM, BASH, subject={**pid1, **outside})
        yield an_exit(at + 0.3, init, **pid1, **outside)
        if n % 5 == 0:
            yield a_kernel_kill(
                at + 0.4, init + 1, init, subject=child, actor_is_reaper=True,
                actor_changes={"start_boot_ns": start, "is_exiting": True},
            )  # fmt: skip
            yield an_exit(at + 0.5, init + 1, signo=KILL, **child)
            yield a_reap(at + 0.55, init + 1, by=init, **child)
        yield a_notice(at + 0.6, init, to=BASH, child_start=start)
        yield a_reap(at + 0.7, init, by=BASH, **pid1, **outside)


def test_stops_of_namespaces_that_are_gone_are_counted_by_their_course() -> None:
    correlator = fed(stops(1_000), keep_uneventful=False)
    report = concluded(correlator)
    whole = concluded(fed(stops(1_000), keep_uneventful=False, detail=None))
    assert len(whole.stops) == 1_000
    assert len(report.stops) <= DETAIL // 10
    assert sum(1 for _ in correlator.scopes) <= DETAIL // 10 + 1
    assert len(correlator.table) < 2 * DETAIL
    for name in ("members", "sigkilled", "exited", "already_zombie", "survived"):
        assert sum(getattr(row, name) for row in (*report.stops, *report.folded.stops)) == sum(
            getattr(stop, name) for stop in whole.stops
        )
    assert len(report.stops) + report.folded.totals["stops"] == 1_000
    # The worst stay: those whose child was killed.
    assert any(stop.sigkilled for stop in report.stops)
    codes = Counter(one.code for one in report.findings)
    for row in report.folded.findings:
        codes[row.code] += row.count
    assert codes == Counter(one.code for one in whole.findings)
    assert codes["ZT102"] == 200
    # One of each course is told of, and how many are like it.
    like_it = [int(number) for number in re.findall(r"\(and ([\d,]+) like it\)", report.headline)]
    assert sum(like_it) + report.headline.count("PID namespace ") == 1_000, report.headline


def test_names_without_end_are_counted_together_in_the_end() -> None:
    report = concluded(fed(chained(a_lifetime(n, comm=f"job-{n}") for n in range(5_000))))
    assert len(report.folded.processes) < 200
    assert sum(by_end(report).values()) == 5_001
    assert any(row.comm is None for row in report.folded.processes)
    report = concluded(fed(chained(a_death(n, comm=f"job-{n}") for n in range(5_000))))
    assert len(report.processes) < 2 * DETAIL
    assert sum(by_end(report).values()) == 5_001


def test_a_report_of_much_is_of_bounded_length() -> None:
    lives = [
        a_death(n, comm=f"victim-{n}") if n % 2 else a_lifetime(n, comm=f"job-{n}", code=n % 7)
        for n in range(6_000)
    ]
    report = concluded(fed(chained(lives), detail=1_000))
    text = render_report(report)
    assert text.count("\n") <= MOST_LINES
    assert render_report(report, width=40).count("\n") <= MOST_LINES
    assert "victim-#" in text
    assert len(render_report_file(report)) < 4_000_000


def test_the_same_events_fold_alike() -> None:
    def made() -> str:
        lives = [a_death(n) if n % 2 else a_lifetime(n) for n in range(2_000)]
        return render_report_file(concluded(fed(chained(lives))))

    assert made() == made()


def test_the_tables_have_everybody() -> None:
    lives = chained(a_death(n) if n % 2 else a_lifetime(n) for n in range(3_000))
    report = concluded(fed(lives, detail=None))
    assert len(report.processes) == 3_001
    assert not any(report.folded.totals.values())


def test_a_release_reported_again_of_someone_forgotten_says_nothing() -> None:
    correlator = fed(chained(a_lifetime(n) for n in range(200)))
    pid, what = who(0)
    number = len(correlator.table)
    assert correlator.feed(a_reap(BEGIN + 300, pid, **what)) is None
    assert len(correlator.table) == number


def test_a_container_that_was_asked_for_is_known_to_have_ended_when_its_stop_is_forgotten() -> None:
    containers = [
        replace(WEB, id=f"{n:012}", name=f"c{n}", init_host_pid=1000 + n, pidns_inum=PIDNS + 1 + n)
        for n in range(40)
    ]
    correlator = correlate(CorrelatorOptions(detail=DETAIL))
    correlator.feed(attached(*containers))
    for n, container in enumerate(containers):
        init = a_process(
            container.init_host_pid, parent=SHIM, pidns_inum=container.pidns_inum, is_init=True,
            init_start_boot_ns=start_of(container.init_host_pid), parent_pidns_inum=HOST, ns_pid=1,
        )  # fmt: skip
        at_ns = (BEGIN + 10 + n) * MS
        correlator.feed(a_seed(process=init))
        correlator.feed(replace(an_exit(0), boot_ns=at_ns, process=init))
        correlator.feed(replace(a_reap(0, by=SHIM), boot_ns=at_ns + 1000, process=init))
    listed = {scope.container.id for scope in correlator.scopes if scope.container is not None}
    assert len(listed) <= DETAIL // 10
    assert listed | correlator.scopes.ended == {container.id for container in containers}
    report = concluded(correlator)
    assert len(report.stops) + report.folded.totals["stops"] == 40
    assert len(report.containers) == 40


def test_a_trace_is_not_complete_for_having_forgotten_who_was_seen_late() -> None:
    def deaths(*, is_late: bool) -> Iterator[Event]:
        for n in range(500):
            events = list(a_death(n))
            yield from events[1 if is_late and n == 3 else 0 :]

    assert concluded(fed(deaths(is_late=False))).complete
    assert not concluded(fed(deaths(is_late=True))).complete
