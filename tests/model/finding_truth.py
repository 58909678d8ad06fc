"""Whether what a report blames somebody for is true of a history of the model.

Judged are the errors and warnings: whatever was lost, whenever tracing began,
each of them says something that happened.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from tests.model.kernel import Kernel
from tests.model.process import CHLD, CONT, KILL, STOP, TERM, Ns, Proc, Stop
from tracer.model.report import Finding, Report
from tracer.model.signals import DEFAULT_STOPS, SIGURG, Disposition, SignalResult, signal_name
from tracer.model.verdicts import Severity

MIN_ZOMBIE_NS = 1_000_000_000
_SLACK_NS = 300_000_000
"""What a release that was told late may add to a zombie's age."""
_RCU_NS = 600_000_000
_BLOCKED_NS = 1_000_000_000
_GRACE_NS = 60_000_000_000
_SAYS_NOTHING = DEFAULT_STOPS | {KILL, CONT, CHLD, STOP, SIGURG}
_WHO = r"\((?:pid (\d+)|pid \d+, host (\d+)|host pid (\d+)(?:, [^)]*)?)\)"


class FindingTruth:
    """The truth of a history, for findings.

    Args:
        kernel: The model, at the end.
        target: The traced namespace.
        attached_ns: When tracing began.
    """

    def __init__(self, kernel: Kernel, target: Ns, attached_ns: int) -> None:
        self._kernel = kernel
        self._target = target
        self._attached_ns = attached_ns
        self._judges: dict[str, Callable[[Finding], Iterator[str]]] = {
            "ZT101": self._dropped,
            "ZT102": self._not_forwarded,
            "ZT103": self._grace_expired,
            "ZT104": lambda one: self._killed(one, {"oom"}),
            "ZT105": lambda one: self._killed(one, {"cgroup_kill"}),
            "ZT106": self._killed_by_process,
            "ZT107": self._blocked,
            "ZT108": self._not_waited_for,
            "ZT109": self._cut_off,
            "ZT110": self._dropped_at_init,
            "ZT201": self._leaked,
            "ZT202": self._not_reaped_by_init,
            "ZT203": self._leader,
            "ZT204": self._late,
            "ZT205": self._put_in,
        }

    def untrue(self, report: Report) -> Iterator[str]:
        """What errors and warnings say that is not so."""
        for finding in report.findings:
            if finding.severity is Severity.INFO or finding.code == "ZT901":
                continue
            for text in self._judges[finding.code](finding):
                yield f"{finding.code} {finding.title!r}, {finding.detail!r}: {text}"

    def _named(self, pid: int) -> list[Proc]:
        return [proc for proc in self._kernel.procs if proc.pid == pid]

    def _any(self, pid: int, is_so: Callable[[Proc], bool]) -> bool:
        return any(is_so(proc) for proc in self._named(pid))

    # Stops.

    def _dropped(self, finding: Finding) -> Iterator[str]:
        def was_dropped(init: Proc) -> bool:
            return init.is_init and any(
                one.signo == TERM and one.by_user
                and one.sender is not None and not one.sender.is_in(init.ns)
                and one.result is SignalResult.IGNORED and one.disposition is Disposition.DEFAULT
                for one in init.sent
            )  # fmt: skip

        if not self._any(finding.host_pids[0], was_dropped):
            yield "no stop signal of it was dropped"

    def _dropped_at_init(self, finding: Finding) -> Iterator[str]:
        def was_dropped(init: Proc) -> bool:
            return init.is_init and any(
                one.result is SignalResult.IGNORED and one.disposition is Disposition.DEFAULT
                and signal_name(one.signo) in finding.title and one.t >= self._attached_ns
                for one in init.sent
            )  # fmt: skip

        if not self._any(finding.host_pids[0], was_dropped):
            yield "no such signal to it was dropped"

    def _grace_expired(self, finding: Finding) -> Iterator[str]:
        def was_killed_after_it(init: Proc) -> bool:
            asked = [
                one.t for one in init.sent
                if one.signo == TERM and one.by_user
                and one.sender is not None and not one.sender.is_in(init.ns)
            ]  # fmt: skip
            return any(
                one.signo == KILL and (one.by_user or one.by_cgroup) and not one.was_dying
                and one.result is not SignalResult.IGNORED and asked and asked[0] < one.t
                for one in init.sent
            )  # fmt: skip

        if not self._any(finding.host_pids[0], was_killed_after_it):
            yield "it was not sent SIGKILL after a stop signal"
        if "stopped (SIGSTOP)" in finding.detail:
            if not any(self._any(pid, lambda one: any(
                sent.signo == STOP for sent in one.sent
            )) for pid in finding.host_pids):  # fmt: skip
                yield "it was not stopped"
        for words, holds in (
            ("was not sent SIGTERM", self._was_not_signalled),
            ("ignores", self._ignores),
        ):
            if words in finding.detail and not any(
                self._any(pid, holds) for pid in finding.host_pids
            ):
                yield f"none of them {words}"

    def _was_not_signalled(self, proc: Proc) -> bool:
        return any(
            not any(one.signo == TERM and one.t >= stop.begin for one in proc.sent)
            for ns in proc.ns.chain() for stop in ns.stops
        )  # fmt: skip

    def _ignores(self, proc: Proc) -> bool:
        return any(
            one.signo == TERM and one.disposition is Disposition.IGNORED for one in proc.sent
        )

    def _not_waited_for(self, finding: Finding) -> Iterator[str]:
        init_pid, *victims = finding.host_pids
        if not victims:
            yield "no process is named"
        for victim in victims:
            if not self._any(victim, lambda one: one.cause == "pidns_teardown" and any(
                sent.by_user and sent.sender is not None and sent.sender is not one
                and sent.disposition in (Disposition.CAUGHT, Disposition.BLOCKED)
                and sent.t >= self._attached_ns
                and ns.init is not None and sent.sender.is_in(ns)
                and ns.init.pid == init_pid and ns.init.exit_t is not None
                and sent.t <= ns.init.exit_t
                for ns in one.ns.chain() for sent in one.sent
            )):  # fmt: skip
                yield f"{victim} was not signalled, or was not killed when init ended"

    def _cut_off(self, finding: Finding) -> Iterator[str]:
        parent_pid, *victims = finding.host_pids
        for victim in victims:
            if not self._any(victim, lambda one: (
                one.birth_parent is not None and one.birth_parent.pid == parent_pid
                and any(
                    mine.t == others.t or abs(mine.t - others.t) <= 5_000_000
                    for mine in one.sent for others in one.birth_parent.sent
                    if mine.signo == others.signo and mine.sender is others.sender
                )
            )):  # fmt: skip
                yield f"{victim} and {parent_pid} were not sent one signal"

    def _not_forwarded(self, finding: Finding) -> Iterator[str]:
        blamed, *victims = finding.host_pids
        if not victims:
            yield "nobody is named"
        for victim in victims:
            if not self._any(victim, lambda one: any(
                self._was_not_told(one, ns, stop) for ns in one.ns.chain() for stop in ns.stops
            )):  # fmt: skip
                yield f"{victim} was told to stop, or did not die of it"
        if not self._any(blamed, lambda one: one.is_init or any(
            sent.signo == TERM for sent in one.sent
        )):  # fmt: skip
            yield f"{blamed} never had the stop signal"

    def _was_not_told(self, victim: Proc, ns: Ns, stop: Stop) -> bool:
        if not stop.asked or stop.init_exit is None or stop.killed or victim is ns.init:
            return False
        if victim.cause != "pidns_teardown" or id(ns) in victim.put_in:
            return False
        since = max(stop.begin, self._attached_ns)
        return not any(
            one.t >= since and (one.signo == TERM or (
                one.by_user and one.sender is not None and one.sender is not victim
                and one.signo not in _SAYS_NOTHING and one.sender.is_in(ns)
            ))
            for one in victim.sent
        )  # fmt: skip

    def _blocked(self, finding: Finding) -> Iterator[str]:
        inum = re.search(r"PID namespace (\d+)", finding.title)
        inits = [
            proc for proc in self._kernel.procs if proc.is_init and proc.exit_t is not None
            and (proc.ns.inum == int(inum[1]) if inum else proc.ns is self._target)
        ]  # fmt: skip
        blocked = [
            init for init in inits
            if self._end_of_teardown(init) - (init.exit_t or 0) >= _BLOCKED_NS
        ]  # fmt: skip
        if not blocked:
            yield "its end took no time"
        for pid in finding.host_pids if blocked else ():
            if not self._any(pid, lambda one: any(
                one.released_t is None
                or one.released_t >= (init.exit_t or 0) + _BLOCKED_NS - _RCU_NS
                for init in blocked
            )):  # fmt: skip
                yield f"it did not wait for {pid}"

    def _end_of_teardown(self, init: Proc) -> int:
        return init.zombie_t if init.zombie_t is not None else self._kernel.t

    # Kills.

    def _killed(self, finding: Finding, causes: set[str]) -> Iterator[str]:
        for pid in finding.host_pids:
            if not self._any(pid, lambda one: one.cause in causes or self._began_before(one)):
                yield f"{pid} was not: {[one.cause for one in self._named(pid)]}"

    def _killed_by_process(self, finding: Finding) -> Iterator[str]:
        yield from self._killed(finding, {"kill", "runtime_kill"})
        # Behind it a runtime's kill says on whose wish it was.
        named = re.findall(r" with (SIG[\w+]+)", finding.title)[-1:]
        for pid in finding.host_pids:
            if not self._any(pid, lambda one: one.status is not None and named == [
                signal_name(one.status & 0x7F)
            ]):  # fmt: skip
                yield f"{pid} died of something else"
        if "no prior stop signal" in finding.detail:
            if not self._any(finding.host_pids[0], lambda one: not self._had_stop_signal(one)):
                yield "there was a stop signal before"

    def _began_before(self, proc: Proc) -> bool:
        """Whether it was being stopped, or dying, before anybody looked.

        Where the kernel delivers to the dying, a second SIGKILL looks like the first.
        """
        if not self._kernel.drops and (proc.signalled_t or 0) <= self._attached_ns:
            return True
        return any(
            stop.asked and stop.begin < self._attached_ns
            for ns in proc.ns.chain() for stop in ns.stops
        )  # fmt: skip

    def _had_stop_signal(self, proc: Proc) -> bool:
        killed_t = proc.signalled_t or 0
        return any(
            one.signo == TERM and one.by_user and killed_t - _GRACE_NS < one.t < killed_t
            and not one.was_dying
            and one.sender is not None and not one.sender.is_in(ns)
            for ns in proc.ns.chain() if ns.init is not None and ns.level
            for one in ns.init.sent
        )  # fmt: skip

    # Zombies.

    def _zombies(
        self,
        finding: Finding,
        who: int,
        is_so: Callable[[Proc], bool],
        parent: int | None = None,
    ) -> Iterator[str]:
        pids = list(finding.host_pids)
        if pids and pids[0] in (who, parent):
            del pids[0]
        if not pids:
            yield "nobody is named"
        for pid in pids:
            if not self._any(
                pid, lambda one: self._was_old(one) and self._lay_with(one, who) and is_so(one)
            ):
                yield f"not so of {pid}"

    def _until(self, proc: Proc) -> int:
        return proc.released_t if proc.released_t is not None else self._kernel.t

    def _was_old(self, proc: Proc) -> bool:
        if proc.zombie_t is None:
            return False
        return self._until(proc) - proc.zombie_t >= MIN_ZOMBIE_NS - _SLACK_NS

    def _lay_with(self, proc: Proc, who: int) -> bool:
        """Whether it had to reap it for long now, or nobody else had to for longer."""
        since_t, holder = proc.held[-1]
        if proc.released_t is None and holder.pid == who:
            return self._kernel.t - since_t >= MIN_ZOMBIE_NS - _SLACK_NS
        times: dict[int, int] = {}
        since = [t for t, _ in proc.held]
        for (t, holder), end in zip(proc.held, [*since[1:], self._until(proc)], strict=True):
            seen_ns = max(0, end - max(t, self._attached_ns))
            times[holder.pid] = times.get(holder.pid, 0) + seen_ns
        return times.get(who, -1) >= max(times.values(), default=0) - _SLACK_NS

    def _leaked(self, finding: Finding) -> Iterator[str]:
        holds = re.search(
            rf"host pid (\d+)\) traces .*?notifies the parent, [^(]*{_WHO}", finding.detail
        )
        if holds:
            parent = next(int(one) for one in holds.groups()[1:] if one is not None)
            yield from self._zombies(finding, int(holds[1]), lambda one: True, parent)
            return
        held = re.search(rf"^.*?{_WHO} traced", finding.title)
        if held:
            who = _who(rf"^.*?{_WHO} traced", finding.title)
            yield from self._zombies(finding, who, lambda one: True)
            return
        who = _who(rf"^.*?{_WHO} leaked", finding.title)
        yield from self._zombies(finding, who, lambda one: not _was_reaped_by(one, who))

    def _late(self, finding: Finding) -> Iterator[str]:
        unknown = re.search(rf"^.*?{_WHO} left", finding.title)
        if unknown:
            who = _who(rf"^.*?{_WHO} left", finding.title)
            yield from self._zombies(finding, who, lambda one: one.released_t is not None)
            return
        who = _who(rf"^.*?{_WHO} reaped", finding.title)
        yield from self._zombies(finding, who, lambda one: _was_reaped_by(one, who))

    def _not_reaped_by_init(self, finding: Finding) -> Iterator[str]:
        who = _who(rf"handed (?:it|them) to [^(]*{_WHO}", finding.detail)
        if not self._any(who, lambda one: one.is_init):
            yield f"{who} is no PID 1"
        yield from self._zombies(
            finding,
            who,
            lambda one: one.handed_t is not None and not _was_reaped_by(one, who),
        )

    def _put_in(self, finding: Finding) -> Iterator[str]:
        pattern = rf"handed (?:it|them) to [^(]*{_WHO}"
        if "handed" not in finding.detail:
            pattern = rf"nsenter\). [^(]*{_WHO}, outside"
        who = _who(pattern, finding.detail)
        yield from self._zombies(finding, who, lambda one: bool(one.put_in))

    def _leader(self, finding: Finding) -> Iterator[str]:
        lone = [
            self._any(pid, lambda one: self._lone_ns(one) >= MIN_ZOMBIE_NS)
            for pid in finding.host_pids
        ]
        # The first may be their parent.
        if not any(lone) or not all(lone[1:]):
            yield "the main thread was not alone"

    def _lone_ns(self, proc: Proc) -> int:
        if proc.leader_exit_t is not None:
            return proc.lone_leader_ns + self._kernel.t - proc.leader_exit_t
        return proc.lone_leader_ns


def _was_reaped_by(proc: Proc, who: int) -> bool:
    return proc.kind in ("parent", "adopter") and proc.reaper is not None and proc.reaper.pid == who


def _who(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    assert found is not None, (pattern, text)
    return next(int(one) for one in found.groups() if one is not None)
