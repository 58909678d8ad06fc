"""Whether the claims of a trace are true of a history of the model, and its words theirs.

Judged is what outputs are worded from: what did not happen, who killed whom, whose death
an exit code passes on. Besides, no sentence says more than a claim that holds.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.kernel import Kernel
from tests.model.process import TERM, Ns, Proc, Sent
from tracer.correlate.process import ProcessState
from tracer.correlate.scope import Scope
from tracer.correlate.stops import StopState
from tracer.diagnose.conclusions import Conclusions
from tracer.model.claims.absence import OthersAbsence, SignalAbsence
from tracer.model.claims.claim import Certainty
from tracer.model.claims.end import ProcessEnd
from tracer.model.report import Report
from tracer.model.verdicts import Cause, ExitCodeOrigin, StopSignalDisposition

_RCU_NS = 600_000_000


class ClaimTruth:
    """The truth of a history, for claims.

    Args:
        kernel: The model, at the end.
        target: The traced namespace.
        attached_ns: When tracing began.
    """

    def __init__(self, kernel: Kernel, target: Ns, attached_ns: int) -> None:
        self._kernel = kernel
        self._target = target
        self._attached_ns = attached_ns
        self._procs = {proc.key: proc for proc in kernel.procs}

    def untrue(self, conclusions: Conclusions, report: Report) -> Iterator[str]:
        """Every claim that is false, and every sentence that no claim bears."""
        correlator = conclusions.correlator
        for state in correlator.table:
            proc = self._procs.get((state.key.host_pid, state.key.start_boot_ns))
            end = conclusions.end(state.key)
            if proc is not None and end is not None:
                yield from (f"{state.key}: {text}" for text in self._end(proc, end))
            if proc is not None:
                yield from self._unsent(conclusions, proc, state)
        never, alone = [], []
        for scope in correlator.scopes:
            for stop in scope.stops:
                course = conclusions.stop(scope, stop)
                init = self._procs.get((scope.init.host_pid, scope.init.start_boot_ns))
                if course.unasked is not None and init is not None:
                    yield from self._unasked(init, course.unasked, course.disposition)
                    never.append(course.unasked)
                if course.alone is not None and course.alone.is_certain and init is not None:
                    yield from self._alone(init, course.alone, scope, stop)
                    alone.append(course.alone)
        for death in conclusions.deaths():
            victim = correlator.table.get(death.about)
            if death.cause is not Cause.RUNTIME_KILL or death.signal is None or victim is None:
                continue
            for scope in victim.scopes[:1]:
                claim = conclusions.absence.stop_signal_before(scope, death.signal.boot_ns)
                init = self._procs.get((scope.init.host_pid, scope.init.start_boot_ns))
                was_survived = any(stop.stop_signal is not None for stop in scope.stops)
                if init is not None and not was_survived:
                    yield from self._unasked(init, claim, StopSignalDisposition.UNKNOWN)
                never.append(claim)
        yield from _unborne(report, never, alone)

    # How processes ended.

    def _end(self, proc: Proc, end: ProcessEnd) -> Iterator[str]:
        if end.sender is not None and end.signal is not None:
            when, signo = end.signal.boot_ns, end.signal.signo
            if not any(
                one.signo == signo and one.t == when and one.by_user
                and one.sender is not None and one.sender.pid == end.sender.host_pid
                for one in proc.sent
            ):  # fmt: skip
                yield f"{end.sender.comm} did not send it signal {signo} at {when}"
            parents = {proc.birth_parent, proc.parent}
            sender = end.sender
            if end.is_by_parent and not any(
                one is not None and one.pid == sender.host_pid for one in parents
            ):
                yield f"{sender.comm} never was its parent"
        if end.code_origin is ExitCodeOrigin.PASSED_ON:
            yield from self._passed_on(proc, end)
        if end.code_origin is ExitCodeOrigin.HANDLED_SIGNAL and not any(
            end.status is not None and one.signo + 128 == end.status.exit_code
            and one.disposition.value == "caught" for one in proc.sent
        ):  # fmt: skip
            yield "it handled no signal that its code tells of"

    def _passed_on(self, proc: Proc, end: ProcessEnd) -> Iterator[str]:
        key = end.passed_on
        victim = self._procs.get((key.host_pid, key.start_boot_ns)) if key is not None else None
        if victim is None:
            yield "nobody's death is passed on"
            return
        signo = (end.status.exit_code or 0) - 128 if end.status is not None else 0
        if (victim.status or 0) & 0x7F != signo:
            yield f"{victim.pid} did not die of signal {signo}"
        if (victim.exit_t or 0) > (proc.exit_t or 0):
            yield f"{victim.pid} died later"

    # What did not happen.

    def _stop_signals(
        self, proc: Proc, scope: Scope | None, since_ns: int, until_ns: int
    ) -> list[Sent]:
        """Those that it was sent while its namespace, or any of them, was being stopped."""
        return [
            one for one in proc.sent
            if one.signo == TERM and since_ns <= one.t <= until_ns and any(
                stop.asked and stop.begin <= one.t and (stop.end is None or one.t <= stop.end)
                for ns in proc.ns.chain() if scope is None or ns.inum == scope.pidns.inum
                for stop in ns.stops
            )
        ]  # fmt: skip

    def _unsent(self, conclusions: Conclusions, proc: Proc, state: ProcessState) -> Iterator[str]:
        if state.stop_signal is not None:
            return
        places: list[tuple[Scope | None, StopState | None]] = [(None, None)]
        places += [(scope, stop) for scope in state.scopes for stop in scope.stops]
        for scope, stop in places:
            claim = conclusions.absence.stop_signal_to(scope, state, stop)
            if claim.certainty is Certainty.UNKNOWN or claim.span is None:
                continue
            until_ns = claim.span.until_ns or self._kernel.t
            if self._stop_signals(proc, scope, claim.span.since_ns, until_ns - 1):
                yield f"{state.key} was sent a stop signal within {claim.span}"
            if claim.rules_out_stop and conclusions.disposition(scope, state, stop) is not (
                StopSignalDisposition.NOT_SENT
            ):
                yield f"{state.key}: its disposition says other than the claim"

    def _unasked(
        self, init: Proc, claim: SignalAbsence, disposition: StopSignalDisposition
    ) -> Iterator[str]:
        if disposition is StopSignalDisposition.NOT_SENT and not claim.rules_out_stop:
            yield f"{init.pid}: not_sent, but that is not known"
        if claim.certainty is Certainty.UNKNOWN or claim.span is None:
            return
        until_ns = claim.span.until_ns or self._kernel.t
        if self._asked(init, claim.span.since_ns, until_ns - 1):
            yield f"{init.pid} was asked to stop within {claim.span}"
        if claim.certainty is Certainty.SEEN and self._asked(init, init.start, until_ns - 1):
            if claim.span.since_ns <= init.start:
                yield f"{init.pid} was asked to stop before"
        if claim.rules_out_stop and any(
            stop.asked and stop.begin < claim.span.since_ns
            and stop.last_asked > until_ns - 60_000_000_000 and not stop.survived
            for stop in init.ns.stops
        ):  # fmt: skip
            yield f"{init.pid} was being stopped before {claim.span}"

    def _asked(self, init: Proc, since_ns: int, until_ns: int) -> list[Sent]:
        return [
            one for one in init.sent
            if one.signo == TERM and one.by_user and not one.was_dying
            and one.sender is not None and not one.sender.is_in(init.ns)
            and since_ns <= one.t <= until_ns
        ]  # fmt: skip

    def _alone(
        self, init: Proc, claim: OthersAbsence, scope: Scope, stop: StopState
    ) -> Iterator[str]:
        if claim.span is None or scope.is_shared:
            return
        since_ns = claim.span.since_ns
        others = [
            proc for proc in self._kernel.procs
            if proc.is_in(init.ns) and proc is not init
            and (proc.released_t is None or proc.released_t > since_ns + _RCU_NS)
            and proc.start <= (stop.end_ns or self._kernel.t)
        ]  # fmt: skip
        if others:
            yield f"{init.pid} was not alone: {[proc.pid for proc in others]}"
        if not claim.was_left_alone and any(
            proc.is_in(init.ns) and proc is not init and proc.start >= self._attached_ns
            and proc.start <= since_ns
            for proc in self._kernel.procs
        ):  # fmt: skip
            yield f"{init.pid} had others before"


def _unborne(
    report: Report, never: list[SignalAbsence], alone: list[OthersAbsence]
) -> Iterator[str]:
    """Sentences of absence in the report that no claim bears."""
    texts = [
        report.headline,
        *(entry.text for entry in report.timeline),
        *(f"{one.title} {one.detail}" for one in report.findings),
    ]
    for text in texts:
        if "no prior stop signal" in text and not any(
            one.certainty is Certainty.SEEN for one in never
        ):
            yield f"no claim says so: {text}"
        if (
            "forced kill" in text
            and "survived" not in text
            and not any(one.rules_out_stop for one in never)
        ):
            yield f"no claim rules out a stop: {text}"
        if "it was the only process" in text and not any(not one.was_left_alone for one in alone):
            yield f"no claim says that it was alone: {text}"
        if "no other process was left" in text and not any(one.was_left_alone for one in alone):
            yield f"no claim says that none was left: {text}"
