"""fwd-sig: what becomes of the others when PID 1 gets the stop signal."""

from __future__ import annotations

import shutil

from tracer.errors import UnavailableError
from tracer.model.report import ProcessReport
from tracer.model.signals import SIGKILL, SIGTERM, SignalResult
from tracer.model.verdicts import Cause
from tracer.session.scenarios.account import Account, count, lasted, pids, surprise
from tracer.session.scenarios.scenario import Explanation, Scenario

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
    for name, arguments in _GROUP_INITS:
        path = shutil.which(name)
        if path is not None:
            return [path, *arguments]
    raise UnavailableError(
        "this scenario needs an init program: tini, docker-init or dumb-init",
        hint="install one, for example: apt-get install tini",
    )


def explain_no_forwarding(account: Account) -> Explanation:
    """PID 1 took the signal for itself and left."""
    stop, init, workers = account.stop, account.init, account.named("worker")
    _expect_teardown(workers)
    handled_ns = (stop.init_exit_boot_ns or stop.begin_boot_ns) - stop.begin_boot_ns
    return Explanation(
        steps=(
            _stop_signal_went_to_init(account, init) + f" {_nobody_told(account, workers)}",
            (
                f"{init.comm}'s handler ran and ended it with exit code {init.exit_code},"
                f" {lasted(handled_ns)} later. To whoever asked for the stop that is a success."
            ),
            (
                "But a PID namespace cannot outlive its PID 1. While that one was ending, at"
                f" {account.clock(workers[0].signal_boot_ns)}, the kernel itself"
                " (zap_pid_ns_processes) sent SIGKILL to all that was left in it:"
                f" {count(len(workers), 'worker')} died without a chance to finish or to flush"
                " anything. No process sent that SIGKILL, and nobody waited for a grace period."
            ),
        ),
        remedy=(
            "PID 1 must pass SIGTERM on to its children and wait for them, or an init must do it:"
            " `docker run --init`, or tini as the entry point, with -g for the whole process group."
            " See it: zomtrace demo fwd-sig-init"
        ),
    )


def explain_group_init(account: Account) -> Explanation:
    """The init told everybody."""
    init, workers = account.init, account.named("worker")
    program = account.one("fwd-sig-init")
    told = [*workers, program]
    forwarded = [s for process in told for s in account.sent(SIGTERM, process)]
    if not forwarded or any(s.actor.host_pid != init.host_pid for s in forwarded):
        raise surprise(f"{init.comm} did not pass SIGTERM on")
    killed = [p for p in account.report.processes if p.term_signal == "SIGKILL"]
    if killed:
        raise surprise(f"SIGKILL ended {pids(killed)}")
    if program.exit_code != 0 or init.exit_code != 0:
        raise surprise(f"{program.comm} or {init.comm} did not end with exit code 0")
    ended = [w for w in workers if w.cause is Cause.STOP_SIGNAL]
    return Explanation(
        steps=(
            _stop_signal_went_to_init(account, init),
            (
                f"{init.comm} is an init: it waits for signals and passes them on. At"
                f" {account.clock(forwarded[0].boot_ns)} it sent SIGTERM to the process group of"
                f" the program it had started: {program.comm} (host pid {program.host_pid}) and"
                f" {count(len(workers), 'worker')} ({pids(workers)})."
            ),
            (
                f"{count(len(ended), 'worker')} ended by SIGTERM (a handler of their own could have"
                f" tidied up first); {program.comm} ended with exit code {program.exit_code}."
                f" {init.comm} left last, with exit code {init.exit_code}. Nobody got SIGKILL."
            ),
        ),
        remedy=(
            "This is how a stop should look. Without -g tini tells its one child only, and what"
            " that child does not pass on gets lost all the same."
        ),
    )


def explain_no_handler(account: Account) -> Explanation:
    """The kernel dropped the signal; the grace ran out."""
    stop, init, workers = account.stop, account.init, account.named("worker")
    _expect_teardown(workers)
    if stop.stop_signal_result is not SignalResult.IGNORED or not stop.escalated:
        raise surprise("SIGTERM to PID 1 was not dropped")
    kill = account.sent(SIGKILL, init)
    if not kill:
        raise surprise("no SIGKILL to PID 1 was seen")
    return Explanation(
        steps=(
            _stop_signal_went_to_init(account, init)
            + f" {init.comm} has no handler for it. Any other process would die of that; for a"
            " namespace's PID 1 the kernel leaves the default action out. The signal was dropped,"
            " and nothing at all happened.",
            (
                f"{lasted(stop.grace_ns)} later, at {account.clock(kill[0].boot_ns)}, the grace was"
                f" over: {kill[0].actor.comm} sent SIGKILL, the one signal from outside that a PID"
                " 1 cannot escape. The demonstration waits for"
                f" {lasted(int(NO_HANDLER.grace_s * 1e9))}; Docker waits for 10 s, Kubernetes for"
                " 30. This is the stop that always takes the whole time."
            ),
            (
                "PID 1 being gone, the kernel sent SIGKILL to the others too."
                f" {_nobody_told(account, workers)}"
            ),
        ),
        remedy=(
            "Install a SIGTERM handler (in a shell script: trap), name the signal the program does"
            " stop on (STOPSIGNAL), or put an init in front that forwards it: `docker run --init`."
            " See it: zomtrace demo fwd-sig-init"
        ),
    )


def _stop_signal_went_to_init(account: Account, init: ProcessReport) -> str:
    sent = account.sent(SIGTERM, init)
    if not sent:
        raise surprise("no SIGTERM to PID 1 was seen")
    return (
        f"At {account.clock(sent[0].boot_ns)} {sent[0].actor.comm}, in the place of a container"
        f" runtime, sent SIGTERM to {init.comm} (host pid {init.host_pid}). It is PID 1, and a stop"
        " goes to PID 1 alone."
    )


def _nobody_told(account: Account, workers: list[ProcessReport]) -> str:
    if any(account.sent(SIGTERM, worker) for worker in workers):
        raise surprise("a worker was sent SIGTERM")
    return f"The {count(len(workers), 'worker')} ({pids(workers)}) were never told."


def _expect_teardown(workers: list[ProcessReport]) -> None:
    if any(worker.cause is not Cause.PIDNS_TEARDOWN for worker in workers):
        raise surprise("not every worker was killed by the end of the namespace")


FORWARD_NOT = Scenario(
    name="fwd-sig",
    title="PID 1 takes SIGTERM and tells nobody: SIGKILL for the others",
    plan=(
        f"A program becomes PID 1 of a PID namespace of its own and starts {_WORKERS} workers. It"
        " handles SIGTERM, and exits without passing it on. Then it is stopped as `docker stop`"
        " would stop it."
    ),
    program="fwd_sig",
    arguments=("handler", str(_WORKERS)),
    explain=explain_no_forwarding,
)
GROUP_INIT = Scenario(
    name="fwd-sig-init",
    title="the same behind an init that forwards it: no SIGKILL",
    plan=(
        "The program of fwd-sig again, but behind an init: PID 1 is tini -g, which passes signals"
        " to the process group of the program it starts. The stop is the same."
    ),
    program="fwd_sig",
    arguments=("handler", str(_WORKERS)),
    init_prefix=find_group_init,
    explain=explain_group_init,
)
NO_HANDLER = Scenario(
    name="fwd-sig-deaf",
    title="PID 1 has no handler: SIGTERM is dropped, the grace runs out",
    plan=(
        f"PID 1 has {_WORKERS} workers again, but no SIGTERM handler. The stop gives it a grace of"
        " 1.5 s (Docker: 10 s, Kubernetes: 30 s) before SIGKILL."
    ),
    program="fwd_sig",
    arguments=("no-handler", str(_WORKERS)),
    grace_s=1.5,
    explain=explain_no_handler,
)
SCENARIOS = (FORWARD_NOT, GROUP_INIT, NO_HANDLER)
