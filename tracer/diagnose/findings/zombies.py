"""ZT201 to ZT205: zombies, and who should have reaped them."""

from __future__ import annotations

from collections.abc import Iterator

from tracer.correlate.correlator import Correlator
from tracer.correlate.zombies import ZombieView, view_zombies
from tracer.diagnose.evidence import say_what_a_parent_does, say_which_threads_live
from tracer.diagnose.findings.make import is_complete, make_finding, say_doubt
from tracer.diagnose.member_readings import is_dying
from tracer.model.events import SigchldAction
from tracer.model.identity import ProcessKey
from tracer.model.report import Finding
from tracer.model.verdicts import ReapKind, Severity
from tracer.wording import names as wording

_SIGCHLD_WORDS = {
    SigchldAction.DEFAULT: "has no SIGCHLD handler",
    SigchldAction.CAUGHT: "has a SIGCHLD handler, which does not wait for them",
    SigchldAction.IGNORED: "ignores SIGCHLD, but began to do so only after they had exited",
}
_WAIT_LOOP = "`while (waitpid(-1, &status, WNOHANG) > 0)`"


def find_zombies(correlator: Correlator) -> Iterator[Finding]:
    """One finding for each code, responsible parent and degree of certainty."""
    groups: dict[tuple[str, tuple[object, ...]], list[ZombieView]] = {}
    for view in view_zombies(correlator.trace):
        code = code_of(correlator, view)
        if code is not None:
            alike = (view.responsible, bool(view.lost), _is_reaper_known(view), view.tracer,
                     view.is_tracers, _is_of_shutdown(correlator, view))  # fmt: skip
            groups.setdefault((code, alike), []).append(view)
    for (code, _), views in groups.items():
        views.sort(key=lambda view: view.state.key)
        yield _Group(correlator, views[0].responsible, views).finding(code)


def code_of(correlator: Correlator, view: ZombieView) -> str | None:
    """Which finding a zombie belongs to, or None."""
    if view.is_leader_only:
        # One whose end has begun has not exited from its main thread: it cannot go.
        return None if is_dying(correlator, view.state) else "ZT203"
    if view.at_least_ns is None or view.at_least_ns < correlator.options.min_zombie_ns:
        return None
    if view.reap is None and view.held_ns < correlator.options.min_zombie_ns:
        # Handed on a moment ago: who has to reap it now may be about to.
        return None
    if not view.state.exit_signo and view.state.is_exit_bound:
        # Only a tracer is notified of its exit, and the lost record named that tracer.
        return None
    if view.tracer is not None or view.is_tracers:
        # No process is notified when a tracer detaches a child without an exit signal.
        return "ZT201" if view.state.exit_signo else None
    if view.state.is_injected or (view.is_put_in and view.is_orphan):
        return "ZT205"
    reap = view.reap
    if not _is_reaper_known(view) or (
        reap is not None
        and reap.kind in (ReapKind.PARENT, ReapKind.ADOPTER)
        and reap.reaper == view.responsible
    ):
        return "ZT204"
    if view.is_orphan and view.responsible is not None:
        if correlator.scopes.led_by(view.responsible):
            return "ZT202"
    return "ZT201"


def _is_of_shutdown(correlator: Correlator, view: ZombieView) -> bool:
    """Whether it became a zombie in a stop, in which its parent ended and so freed it."""
    parent, reap = correlator.table.get(view.responsible), view.reap
    if parent is None or parent.exit_ns is None or view.begin_ns is None or reap is None:
        return False
    return parent.exit_ns <= reap.boot_ns and any(
        stop.stop_signal is not None
        and stop.begin_ns <= view.begin_ns <= parent.exit_ns
        and (stop.end_ns is None or parent.exit_ns <= stop.end_ns)
        for scope in parent.scopes
        for stop in scope.stops
    )


def _is_reaper_known(view: ZombieView) -> bool:
    return view.reap is None or view.reap.kind is not ReapKind.UNKNOWN


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
        is_tracer = responsible is not None and (
            responsible.host_pid == views[0].state.tracer_host_pid
        )
        nameless = "the tracer" if is_tracer else "the parent"
        self._comm = correlator.table.comm_of(responsible) or nameless
        self._longest = wording.seconds(max((view.zombie_ns or 0 for view in views), default=0))
        self._count = wording.number(self._states)
        self._number = wording.count(self._count, "zombie")
        self._names = wording.name_counts(self._states)
        if self._parent is not None:
            self._who = wording.named(self._parent)
        elif responsible is not None:
            self._who = f"{self._comm} (host pid {responsible.host_pid})"
        else:
            self._who = "an unknown parent"
        self._is_of_shutdown = _is_of_shutdown(correlator, views[0])
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
            doubt=say_doubt(
                sorted({kind for view in self._views for kind in view.lost}),
                f"whether another process had to reap {self._them_all} for part of it",
            ),
            severity=Severity.INFO if code == "ZT201" and self._is_of_shutdown else None,
        )

    def _leak(self) -> tuple[str, str, str]:
        tracer = self._views[0].tracer
        if tracer is not None:
            comm = self._correlator.table.comm_of(tracer) or "the tracer"
            return (
                f"{comm} traces {self._number} and has not waited for {self._them}",
                (
                    f"{comm} (host pid {tracer.host_pid}) traces {self._names} and has not waited for"
                    f" {self._them}. The kernel notifies the parent, {self._who}, only after that."
                ),
                f"Have {comm} wait for the processes it traces, or terminate it: the parent is then notified.",
            )
        if self._views[0].is_tracers:
            return (
                f"{self._who} traced {self._number} without waiting, for up to {self._longest}",
                (
                    f"{self._who} traced {self._names} and did not reap {self._them}; the kernel"
                    f" notifies the parent only after that; {self._fate}."
                ),
                f"Have {self._comm} wait for the processes it traces.",
            )
        if self._is_of_shutdown:
            return (
                f"{self._who} did not reap {self._number} while it shut down",
                (
                    f"{self._names} exited after the stop had begun, and {self._who} did not reap"
                    f" {self._them}{self._about_parent}; {self._fate}."
                ),
                (
                    f"Nothing leaked: the end of {self._comm} freed {self._them}. It matters only if"
                    f" {self._comm} learns of an end in another way than by wait(): a zombie still exists."
                ),
            )
        while_it_lived = ""
        if any(view.holder != view.responsible for view in self._views):
            while_it_lived = " while it was alive"
        return (
            f"{self._who} leaked {self._number}",
            (
                f"{self._names} had exited, and the parent, {self._who}, did not reap"
                f" {self._them}{while_it_lived}{self._about_parent}; {self._fate}."
            ),
            (
                f"In {self._comm}: wait for every child, on SIGCHLD {_WAIT_LOOP}; or have the kernel discard"
                " exit statuses: set SIGCHLD to SIG_IGN, or use SA_NOCLDWAIT."
            ),
        )

    def _orphans(self) -> tuple[str, str, str]:
        return (
            f"PID 1 ({self._comm}) left {wording.count(self._count, 'orphan')} unreaped",
            (
                f"The {'parent' if self._count == 1 else 'parents'} of {self._names} had exited, so the"
                f" kernel handed {self._them} to {self._who}, which did not reap"
                f" {self._them}{self._about_parent}; {self._fate}."
            ),
            (
                "Run an init that reaps as PID 1: `docker run --init`, tini, dumb-init; in Kubernetes,"
                " set shareProcessNamespace, so that the pause container reaps."
            ),
        )

    def _late(self) -> tuple[str, str, str]:
        title = f"{self._who} reaped {self._number} late, after up to {self._longest}"
        who_did = ""
        if not _is_reaper_known(self._views[0]):
            title = f"{self._who} left {self._number} unreaped for up to {self._longest}"
            who_did = " Which process finally reaped it is unknown."
            if len(self._views) > 1:
                who_did = " Which process finally reaped them is unknown."
        return (
            title,
            (
                f"{self._names} had exited and waited for {self._who} to reap"
                f" {self._them}{self._about_parent}.{who_did}"
            ),
            (
                f"In {self._comm}: wait for children as they exit, on SIGCHLD (a handler, a signalfd)"
                f" {_WAIT_LOOP}: one SIGCHLD can stand for several children."
            ),
        )

    def _injected(self) -> tuple[str, str, str]:
        if all(view.is_orphan for view in self._views) and self._parent is not None:
            orphans = wording.count(self._count, "orphan")
            return (
                f"PID 1 ({self._comm}) did not reap {orphans} of injected commands",
                (
                    f"{self._names} came from an injected command (docker exec, a probe, nsenter) that"
                    f" exited first. The kernel handed {self._them} to {self._who},"
                    f" which did not reap {self._them}{self._about_parent}; {self._fate}."
                ),
                (
                    "Run an init that reaps as PID 1: `docker run --init`, tini; or have the command wait"
                    " for what it starts (in an exec probe's shell: `exec`, no background jobs)."
                ),
            )
        number = wording.count(self._count, "injected process", "injected processes")
        return (
            f"{number} remained {'a zombie' if self._count == 1 else 'zombies'}",
            (
                f"{self._names} came from outside the namespace (docker exec, a probe, nsenter)."
                f" No process inside can reap {self._them}; {self._who}, outside, must do so"
                f"{self._about_parent}; {self._fate}."
            ),
            (
                f"{self._comm} must wait for what it starts in the container: update the runtime, or"
                " terminate that process, which hands its zombies to a process that waits."
            ),
        )

    def _leader(self) -> tuple[str, str, str]:
        view = self._views[0]
        if self._count == 1:
            names = wording.named(view.state)
            threads = say_which_threads_live(self._correlator, view.state.key)
            others = (
                f"{wording.count(view.live_threads, 'other thread')} of the process kept running"
            )
            shown = f"appeared as a zombie for {self._longest} while {others}"
            shown += f" ({threads})" if threads else ""
        else:
            names = wording.name_some(self._states)
            shown = f"appeared as zombies for up to {self._longest}"
            shown += " while their other threads kept running"
        return (
            f"the main thread of {self._names} exited while others kept running",
            (
                f"{names} {shown}. A process can be reaped only after its last thread has exited; until"
                " then it keeps running and receives signals."
            ),
            (
                "This is not a leak. To terminate the whole process, return from main or call exit();"
                " pthread_exit in main terminates only the main thread."
            ),
        )

    @property
    def _them_all(self) -> str:
        return "it" if len(self._views) == 1 else "them"

    @property
    def _them(self) -> str:
        return "it" if self._count == 1 else "them"

    @property
    def _about_parent(self) -> str:
        known = _SIGCHLD_WORDS.get(self._views[0].parent_sigchld)
        about = [f"it {known}"] if known is not None else []
        if self._evidence:
            about.append(self._evidence)
        others = self._others_reaped
        if others:
            about.append(f"it reaped {wording.count(others, 'other child', 'other children')}")
        return f" ({'; '.join(about)})" if about else ""

    @property
    def _others_reaped(self) -> int:
        """How many children the parent reaped that are none of these."""
        if self._parent is None:
            return 0
        own = wording.number(
            view.state
            for view in self._views
            if view.reap is not None
            and view.reap.reaper == self._parent.key
            and view.reap.kind in (ReapKind.PARENT, ReapKind.ADOPTER)
        )
        return max(0, self._parent.children_reaped - own)

    @property
    def _fate(self) -> str:
        views = self._views
        left = wording.number(view.state for view in views if view.reap is None)
        torn_down = wording.number(
            view.state
            for view in views
            if view.reap is not None and view.reap.kind is ReapKind.TEARDOWN
        )
        lasted = f", after up to {self._longest}"
        parts = []
        for number, singular, plural in (
            (left, "is still a zombie", "are still zombies"),
            (torn_down, "was reaped by namespace teardown", "were reaped by namespace teardown"),
            (self._count - left - torn_down, "was reaped later", "were reaped later"),
        ):
            if number:
                whole = "both" if number == 2 else f"all {number}"
                subject = str(number) if number < self._count else whole
                subject = "it" if self._count == 1 else subject
                parts.append(f"{subject} {singular if number == 1 else plural}")
        return wording.enumerate_all(parts) + lasted
