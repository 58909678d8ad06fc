"""ZT201 to ZT205: zombies, and who should have reaped them."""

from __future__ import annotations

from collections.abc import Iterator

from tracer.correlate import wording
from tracer.correlate.correlator import Correlator
from tracer.correlate.findings.make import is_complete, make_finding
from tracer.correlate.zombies import ZombieView, view_zombies
from tracer.model.events import SigchldAction
from tracer.model.identity import ProcessKey
from tracer.model.report import Finding
from tracer.model.verdicts import ReapKind

_SIGCHLD_WORDS = {
    SigchldAction.DEFAULT: "has no SIGCHLD handler",
    SigchldAction.CAUGHT: "has a SIGCHLD handler, which did not wait for them",
    SigchldAction.IGNORED: "began to ignore SIGCHLD only after they had died",
}


def find_zombies(correlator: Correlator) -> Iterator[Finding]:
    """One finding for each code and responsible parent."""
    groups: dict[tuple[str, ProcessKey | None], list[ZombieView]] = {}
    for view in view_zombies(correlator):
        code = _code(correlator, view)
        if code is not None:
            groups.setdefault((code, view.responsible), []).append(view)
    for (code, responsible), views in groups.items():
        yield _finding(correlator, code, responsible, views)


def _code(correlator: Correlator, view: ZombieView) -> str | None:
    if view.is_leader_only:
        return "ZT203"
    if view.zombie_ns is None or view.zombie_ns < correlator.options.min_zombie_ns:
        return None
    if view.injected:
        return "ZT205"
    reap = view.state.reap
    if reap is not None and reap.kind in (ReapKind.PARENT, ReapKind.ADOPTER):
        return "ZT204"
    if view.is_orphan and _is_init(correlator, view.responsible):
        return "ZT202"
    return "ZT201"


def _is_init(correlator: Correlator, key: ProcessKey | None) -> bool:
    return key is not None and bool(correlator.scopes.led_by(key))


def _finding(
    correlator: Correlator, code: str, responsible: ProcessKey | None, views: list[ZombieView]
) -> Finding:
    views.sort(key=lambda view: view.state.key)
    states = [view.state for view in views]
    who = _who(correlator, responsible)
    longest = max((view.zombie_ns or 0 for view in views), default=0)
    number = wording.count(len(views), "zombie")
    names = wording.name_counts(states)
    fate = _fate(views)
    sigchld = _SIGCHLD_WORDS.get(views[0].parent_sigchld, "")
    if code == "ZT203":
        title = f"{names}: the main thread ended, others run on"
        detail = (
            f"{names} shows as a zombie, but "
            f"{wording.count(max(s.live_threads for s in states), 'thread')} of it still"
            f" {'runs' if states[0].live_threads == 1 else 'run'}: no wait can reap it before the last"
            " thread ends."
        )
        advice = "End the process with exit_group (return from main, exit()), not pthread_exit in main."
    elif code == "ZT204":
        title = f"{who} reaped {number} late, after up to {wording.seconds(longest)}"
        detail = f"{names} had ended and waited for {who} to reap them{_clause(sigchld)}."
        advice = (
            "Wait for children as they end: a SIGCHLD handler or signalfd with"
            " `while (waitpid(-1, &status, WNOHANG) > 0)`, since one SIGCHLD may stand for many."
        )
    elif code == "ZT202":
        title = f"PID 1 ({who}) does not reap: {number} of orphans"
        detail = (
            f"{names}: their own parents died first, so the kernel handed them to PID 1, which"
            f" does not wait for children it did not start{_clause(sigchld)}; {fate}."
        )
        advice = (
            "Make a reaping init PID 1: `docker run --init`, tini, dumb-init, or shareProcessNamespace"
            " with the pause container in Kubernetes."
        )
    elif code == "ZT205":
        title = f"{number} put in from outside, not reaped"
        detail = (
            f"{names} came from outside the namespace (docker exec, a probe, nsenter); {who} outside"
            f" must reap them{_clause(sigchld)}; {fate}."
        )
        advice = (
            "Whoever starts a command in the container (an exec probe, a shim) must wait for it; for its"
            " orphans PID 1 must reap: `docker run --init`."
        )
    else:
        title = f"{who} leaks zombies: {number}"
        detail = (
            f"{names} ended, and their parent {who} never waited for them{_clause(sigchld)}; {fate}"
            f" (longest {wording.seconds(longest)})."
        )
        advice = (
            f"In {who}: wait for every child, `while (waitpid(-1, &status, WNOHANG) > 0)` on SIGCHLD, or"
            " tell the kernel not to keep them: SIGCHLD set to SIG_IGN, or SA_NOCLDWAIT."
        )
    parent = correlator.table.get(responsible)
    involved = [parent, *states] if parent is not None else states
    return make_finding(
        code,
        title=title,
        detail=detail,
        advice=advice,
        states=involved,
        complete=is_complete(correlator, states, min(v.begin_ns or 0 for v in views)),
    )


def _clause(text: str) -> str:
    return f" (it {text})" if text else ""


def _who(correlator: Correlator, responsible: ProcessKey | None) -> str:
    if responsible is None:
        return "a parent that is not known"
    state = correlator.table.get(responsible)
    if state is not None:
        return wording.named(state)
    comm = correlator.table.comm_of(responsible)
    return f"{comm or 'a process'} (host pid {responsible.host_pid})"


def _fate(views: list[ZombieView]) -> str:
    torn_down = sum(
        1 for v in views if v.state.reap is not None and v.state.reap.kind is ReapKind.TEARDOWN
    )
    unreaped = sum(1 for v in views if v.state.reap is None)
    parts = []
    if unreaped:
        parts.append(f"{unreaped} {wording.was_or_were(unreaped)} still there at the end")
    if torn_down:
        parts.append(f"{torn_down} went only with the namespace")
    other = len(views) - unreaped - torn_down
    if other:
        parts.append(f"{other} went when the parent died or changed its mind")
    return wording.enumerate_all(parts)


