"""ZT201 to ZT205: zombies, and who should have reaped them."""

from __future__ import annotations

from collections.abc import Iterator

from tracer.correlate import wording
from tracer.correlate.correlator import Correlator
from tracer.correlate.evidence import say_what_a_parent_does, say_which_threads_live
from tracer.correlate.findings.make import is_complete, make_finding
from tracer.correlate.zombies import ZombieView, view_zombies
from tracer.model.events import SigchldAction
from tracer.model.identity import ProcessKey
from tracer.model.report import Finding
from tracer.model.verdicts import ReapKind

_SIGCHLD_WORDS = {
    SigchldAction.DEFAULT: "has no SIGCHLD handler",
    SigchldAction.CAUGHT: "has a SIGCHLD handler, which does not wait for them",
    SigchldAction.IGNORED: "ignores SIGCHLD, but began to only after they had died",
}
_WAIT_LOOP = "`while (waitpid(-1, &status, WNOHANG) > 0)`"


def find_zombies(correlator: Correlator) -> Iterator[Finding]:
    """One finding for each code and responsible parent."""
    groups: dict[tuple[str, ProcessKey | None], list[ZombieView]] = {}
    for view in view_zombies(correlator.world):
        code = code_of(correlator, view)
        if code is not None:
            groups.setdefault((code, view.responsible), []).append(view)
    for (code, responsible), views in groups.items():
        views.sort(key=lambda view: view.state.key)
        yield _Group(correlator, responsible, views).finding(code)


def code_of(correlator: Correlator, view: ZombieView) -> str | None:
    """Which finding a zombie belongs to, or None."""
    if view.is_leader_only:
        return "ZT203"
    if view.at_least_ns is None or view.at_least_ns < correlator.options.min_zombie_ns:
        return None
    if view.state.is_injected or (view.is_put_in and view.is_orphan):
        return "ZT205"
    reap = view.reap
    if (
        reap is not None
        and reap.kind in (ReapKind.PARENT, ReapKind.ADOPTER)
        and reap.reaper == view.responsible
    ):
        return "ZT204"
    if view.is_orphan and view.responsible is not None:
        if correlator.scopes.led_by(view.responsible):
            return "ZT202"
    return "ZT201"


def _until(views: list[ZombieView]) -> int | None:
    ends_ns = [view.reap.boot_ns if view.reap is not None else None for view in views]
    known_ns = [end_ns for end_ns in ends_ns if end_ns is not None]
    return max(known_ns) if known_ns and len(known_ns) == len(ends_ns) else None


class _Group:
    """Zombies of one parent that make one finding."""

    def __init__(
        self, correlator: Correlator, responsible: ProcessKey | None, views: list[ZombieView]
    ) -> None:
        self._correlator = correlator
        self._views = views
        self._states = [view.state for view in views]
        self._parent = correlator.table.get(responsible)
        self._comm = correlator.table.comm_of(responsible) or "the parent"
        self._longest = wording.seconds(max((view.zombie_ns or 0 for view in views), default=0))
        self._number = wording.count(len(views), "zombie")
        self._names = wording.name_counts(self._states)
        if self._parent is not None:
            self._who = wording.named(self._parent)
        elif responsible is not None:
            self._who = f"{self._comm} (host pid {responsible.host_pid})"
        else:
            self._who = "a parent that is not known"
        self._evidence = say_what_a_parent_does(correlator, responsible)

    def finding(self, code: str) -> Finding:
        title, detail, advice = {
            "ZT201": self._leak,
            "ZT202": self._orphans,
            "ZT203": self._leader,
            "ZT204": self._late,
            "ZT205": self._injected,
        }[code]()
        involved = [self._parent, *self._states] if self._parent is not None else self._states
        return make_finding(
            code,
            title=title,
            detail=detail,
            advice=advice,
            states=involved,
            complete=is_complete(
                self._correlator,
                self._states,
                min((view.begin_ns or 0 for view in self._views), default=0),
                _until(self._views),
            ),
        )

    def _leak(self) -> tuple[str, str, str]:
        tracer = self._views[0].tracer
        if tracer is not None and all(view.tracer == tracer for view in self._views):
            comm = self._correlator.table.comm_of(tracer) or "the tracer"
            return (
                f"{comm} holds {self._number}",
                (
                    f"{comm} (host pid {tracer.host_pid}) traces {self._names} and has not waited for"
                    f" {self._them}: {self._who}, the parent, is told only after that."
                ),
                f"Let {comm} wait for what it traces, or end it: then the parent is told.",
            )
        while_it_lived = ""
        if any(view.holder != view.responsible for view in self._views):
            while_it_lived = " while it lived"
        return (
            f"{self._who} leaks zombies: {len(self._views)}",
            (
                f"{self._names} had ended, and {self._who}, the parent, never waited for"
                f" {self._them}{while_it_lived}{self._about_parent}; {self._fate}."
            ),
            (
                f"In {self._comm}: wait for every child, on SIGCHLD {_WAIT_LOOP}; or tell the kernel not"
                " to keep them: SIGCHLD set to SIG_IGN, or SA_NOCLDWAIT."
            ),
        )

    def _orphans(self) -> tuple[str, str, str]:
        return (
            f"PID 1 ({self._comm}) does not reap orphans: {self._number}",
            (
                f"{self._names}: their own parents had died, so the kernel handed them to"
                f" {self._who}, which did not wait for them{self._about_parent}; {self._fate}."
            ),
            (
                "Make a reaping init PID 1: `docker run --init`, tini, dumb-init; in Kubernetes"
                " shareProcessNamespace, where the pause container reaps."
            ),
        )

    def _late(self) -> tuple[str, str, str]:
        return (
            f"{self._who} reaped {self._number} late, after up to {self._longest}",
            (
                f"{self._names} had ended and waited for {self._who} to reap"
                f" {self._them}{self._about_parent}."
            ),
            (
                f"In {self._comm}: wait for children as they end, on SIGCHLD (a handler, a signalfd)"
                f" {_WAIT_LOOP}: one SIGCHLD may stand for many."
            ),
        )

    def _injected(self) -> tuple[str, str, str]:
        orphans = sum(view.is_orphan for view in self._views)
        if orphans == len(self._views) and self._parent is not None:
            return (
                f"{self._number} of commands put in from outside, left to PID 1",
                (
                    f"{self._names} came from a command that was put in from outside (docker exec, a"
                    f" probe, nsenter) and ended first. The kernel handed {self._them} to {self._who},"
                    f" which did not wait for {self._them}{self._about_parent}; {self._fate}."
                ),
                (
                    "Make a reaping init PID 1: `docker run --init`, tini; or let the command wait for"
                    " what it starts (an exec probe's shell: `exec`, no background jobs)."
                ),
            )
        return (
            f"{self._number} put in from outside and not reaped there",
            (
                f"{self._names} came from outside the namespace (docker exec, a probe, nsenter)."
                f" {self._who} outside has to reap {self._them}, and nobody inside can"
                f"{self._about_parent}; {self._fate}."
            ),
            (
                f"{self._comm} must wait for what it starts in the container: update the runtime, or"
                " end that process, which hands its zombies to one that waits."
            ),
        )

    def _leader(self) -> tuple[str, str, str]:
        view = self._views[0]
        if len(self._views) == 1:
            names = wording.named(view.state)
            lives = say_which_threads_live(self._correlator, view.state.key)
            others = f"{wording.count(view.live_threads, 'other thread')} of it ran on"
            shown = f"showed as a zombie for {self._longest} while {others}"
            shown += f" ({lives})" if lives else ""
        else:
            names = wording.name_some(self._states)
            shown = f"showed as zombies for up to {self._longest}"
            shown += " while other threads of theirs ran on"
        return (
            f"the main thread of {self._names} ended, others ran on",
            (
                f"{names} {shown}. A process can be reaped only once its last thread has ended; until"
                " then it works on, and takes signals."
            ),
            (
                "No leak. To end the whole process, return from main or call exit(), which end every"
                " thread; pthread_exit in main ends the main thread alone."
            ),
        )

    @property
    def _them(self) -> str:
        return "it" if len(self._views) == 1 else "them"

    @property
    def _about_parent(self) -> str:
        known = _SIGCHLD_WORDS.get(self._views[0].parent_sigchld)
        about = [f"it {known}"] if known is not None else []
        if self._evidence:
            about.append(self._evidence)
        if self._parent is not None and self._parent.children_reaped:
            about.append(f"it reaped {wording.count(self._parent.children_reaped, 'other')}")
        return f" ({'; '.join(about)})" if about else ""

    @property
    def _fate(self) -> str:
        views = self._views
        left = sum(view.reap is None for view in views)
        torn_down = sum(
            view.reap is not None and view.reap.kind is ReapKind.TEARDOWN for view in views
        )
        lasted = f" after up to {self._longest}"
        parts = []
        for number, singular, plural in (
            (left, "is still there", "are still there"),
            (torn_down, "went only when the namespace did", "went only when the namespace did"),
            (len(views) - left - torn_down, "went later", "went later"),
        ):
            if number:
                subject = str(number) if number < len(views) else f"all {number}"
                subject = "it" if len(views) == 1 else subject
                parts.append(f"{subject} {singular if number == 1 else plural}")
        return wording.enumerate_all(parts) + lasted
