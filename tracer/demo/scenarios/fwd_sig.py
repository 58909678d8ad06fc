"""fwd-sig: what becomes of the others when PID 1 gets the stop signal."""

from __future__ import annotations

from tracer.demo.scenarios.observed import Observed, count, lasted, pids, surprise
from tracer.demo.scenarios.scenario import Explanation, Scenario
from tracer.errors import UnavailableError
from tracer.model.report import ProcessReport
from tracer.model.signals import SIGKILL, SIGTERM, SignalResult
from tracer.model.verdicts import Cause
from tracer.trust.programs import find_first

_WORKERS = 3
_GROUP_INITS = (
    ("tini", ("-s", "-g", "--")),
    ("docker-init", ("-s", "-g", "--")),
    ("dumb-init", ("--",)),
)


def find_group_init() -> list[str]:
    """The argv prefix of an init that passes signals to a whole process group.

    Raises:
        UnavailableError: None is installed.
    """
    found = find_first(_GROUP_INITS)
    if found is not None:
        return found
    raise UnavailableError(
        "this scenario needs an init program: tini, docker-init or dumb-init",
        hint="install one, for example: apt-get install tini",
    )


def explain_no_forwarding(observed: Observed) -> Explanation:
    """PID 1 handled the signal, did not forward it and exited."""
    stop, init, workers = observed.stop, observed.init, observed.named("worker")
    _expect_teardown(workers)
    handled_ns = (stop.init_exit_boot_ns or stop.begin_boot_ns) - stop.begin_boot_ns
    return Explanation(
        steps=(
            _stop_signal_went_to_init(observed, init) + f" {_nobody_told(observed, workers)}",
            (
                f"{init.comm}'s handler ran, and {init.comm} exited with code {init.exit_code},"
                f" {lasted(handled_ns)} later. To the caller of the stop this is a success."
            ),
            (
                "But a PID namespace cannot outlive its PID 1. While PID 1 was exiting, at"
                f" {observed.clock(workers[0].signal_boot_ns)}, the kernel itself"
                " (zap_pid_ns_processes) sent SIGKILL to all remaining processes:"
                f" {count(len(workers), 'worker')} died without a chance to shut down cleanly."
                " No process sent this SIGKILL, and there was no grace period."
            ),
        ),
        remedy=(
            "PID 1 must forward SIGTERM to its children and wait for them, or an init must do so:"
            " `docker run --init`, or tini as the entry point, with -g for the whole process group."
            " For comparison: zomtrace demo fwd-sig-init"
        ),
    )


def explain_group_init(observed: Observed) -> Explanation:
    """The init signalled every process."""
    init, workers = observed.init, observed.named("worker")
    program = observed.one("fwd-sig-init")
    others = [*workers, program]
    forwarded = [s for process in others for s in observed.sent(SIGTERM, process)]
    if not forwarded or any(s.actor.host_pid != init.host_pid for s in forwarded):
        raise surprise(f"{init.comm} did not forward SIGTERM")
    killed = [p for p in observed.report.processes if p.term_signal == "SIGKILL"]
    if killed:
        raise surprise(f"SIGKILL ended {pids(killed)}")
    if program.exit_code != 0 or init.exit_code != 0:
        raise surprise(f"{program.comm} or {init.comm} did not exit with code 0")
    ended = [w for w in workers if w.cause is Cause.STOP_SIGNAL]
    return Explanation(
        steps=(
            _stop_signal_went_to_init(observed, init),
            (
                f"{init.comm} is an init: it waits for signals and forwards them. At"
                f" {observed.clock(forwarded[0].boot_ns)} it sent SIGTERM to the process group of"
                f" the program it had started: {program.comm} (host pid {program.host_pid}) and"
                f" {count(len(workers), 'worker')} ({pids(workers)})."
            ),
            (
                f"{count(len(ended), 'worker')} died of SIGTERM (a handler of their own could have"
                f" cleaned up first); {program.comm} exited with code {program.exit_code}."
                f" {init.comm} exited last, with code {init.exit_code}. No process got SIGKILL."
            ),
        ),
        remedy=(
            "This is a clean stop. Without -g, tini signals only its one child, and the other"
            " processes depend on that child to forward the signal."
        ),
    )


def explain_no_handler(observed: Observed) -> Explanation:
    """The kernel dropped the signal; the grace period expired."""
    stop, init, workers = observed.stop, observed.init, observed.named("worker")
    _expect_teardown(workers)
    if stop.stop_signal_result is not SignalResult.IGNORED or not stop.escalated:
        raise surprise("SIGTERM to PID 1 was not dropped")
    kill = observed.sent(SIGKILL, init)
    if not kill:
        raise surprise("no SIGKILL to PID 1 was seen")
    return Explanation(
        steps=(
            _stop_signal_went_to_init(observed, init)
            + f" {init.comm} has no handler for it. The default action would terminate any other"
            " process, but it does not apply to a namespace's PID 1: the kernel dropped the"
            " signal.",
            (
                f"{lasted(stop.grace_ns)} later, at {observed.clock(kill[0].boot_ns)}, the grace"
                f" period expired: {kill[0].actor.comm} sent SIGKILL, which PID 1 cannot catch or"
                f" ignore. The demo waits for {lasted(int(NO_HANDLER.grace_s * 1e9))}, Docker for"
                " 10 s, Kubernetes for 30 s. Such a stop always takes the whole grace period."
            ),
            (
                "PID 1 had exited, so the kernel sent SIGKILL to the other processes too."
                f" {_nobody_told(observed, workers)}"
            ),
        ),
        remedy=(
            "Install a SIGTERM handler (in a shell script: trap), set STOPSIGNAL to a signal that"
            " stops the program, or run an init as PID 1 that forwards it: `docker run --init`."
            " For comparison: zomtrace demo fwd-sig-init"
        ),
    )


def _stop_signal_went_to_init(observed: Observed, init: ProcessReport) -> str:
    sent = observed.sent(SIGTERM, init)
    if not sent:
        raise surprise("no SIGTERM to PID 1 was seen")
    return (
        f"At {observed.clock(sent[0].boot_ns)} {sent[0].actor.comm}, acting as a container"
        f" runtime, sent SIGTERM to {init.comm} (host pid {init.host_pid}). It is PID 1, and"
        " runtimes signal only PID 1."
    )


def _nobody_told(observed: Observed, workers: list[ProcessReport]) -> str:
    if any(observed.sent(SIGTERM, worker) for worker in workers):
        raise surprise("a worker was sent SIGTERM")
    return f"The {count(len(workers), 'worker')} ({pids(workers)}) were not signalled."


def _expect_teardown(workers: list[ProcessReport]) -> None:
    if any(worker.cause is not Cause.PIDNS_TEARDOWN for worker in workers):
        raise surprise("not every worker was killed by the end of the namespace")


FORWARD_NOT = Scenario(
    name="fwd-sig",
    title="PID 1 does not forward SIGTERM: the other processes get SIGKILL",
    plan=(
        f"A program runs as PID 1 of its own PID namespace and starts {_WORKERS} workers. It"
        " handles SIGTERM and exits without forwarding it. The demo stops it as `docker stop`"
        " does."
    ),
    program="fwd_sig",
    arguments=("handler", str(_WORKERS)),
    explain=explain_no_forwarding,
)
GROUP_INIT = Scenario(
    name="fwd-sig-init",
    title="the same behind an init that forwards it: no SIGKILL",
    plan=(
        "The same program behind an init: PID 1 is tini -g, which forwards signals to the process"
        " group of the program it starts. The stop is the same."
    ),
    program="fwd_sig",
    arguments=("handler", str(_WORKERS)),
    init_prefix=find_group_init,
    explain=explain_group_init,
)
NO_HANDLER = Scenario(
    name="fwd-sig-deaf",
    title="PID 1 has no handler: SIGTERM dropped, grace period expires",
    plan=(
        f"PID 1 has {_WORKERS} workers again, but no SIGTERM handler. The stop has a grace period"
        " of 1.5 s (Docker: 10 s, Kubernetes: 30 s) before SIGKILL."
    ),
    program="fwd_sig",
    arguments=("no-handler", str(_WORKERS)),
    grace_s=1.5,
    explain=explain_no_handler,
)
SCENARIOS = (FORWARD_NOT, GROUP_INIT, NO_HANDLER)
