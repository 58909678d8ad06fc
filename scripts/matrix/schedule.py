"""Which guests a run needs, run two at a time, each tried again if it died."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from matrix.cache import say
from matrix.errors import GuestError, InfrastructureError
from matrix.guest import GUESTS_AT_ONCE, Guests, Machine, Outcome, Sink
from matrix.kernelimage import BootableKernel


@dataclass(frozen=True, slots=True)
class Job:
    """A command for a kernel.

    Args:
        label: What the job is called in messages.
        kernel: What to boot.
        machine: What to boot it on.
        command: What to run.
        timeout_s: How long the command may take.
    """

    label: str
    kernel: BootableKernel
    machine: Machine
    command: tuple[str, ...]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that ended.

    Args:
        job: The job.
        outcome: How its command ended, or None where none was to be had.
        failure: Why there is no outcome, or None.
        retried: Whether a first guest died.
    """

    job: Job
    outcome: Outcome | None
    failure: InfrastructureError | None
    retried: bool


def quietly(_stream: str, _data: bytes) -> None:
    """Take a running command's output and show nothing: it is kept anyway."""


def live(stream: str, data: bytes) -> None:
    """Pass a running command's output on as it comes."""
    target = sys.stdout if stream == "stdout" else sys.stderr
    target.buffer.write(data)
    target.buffer.flush()


def run_job(guests: Guests, job: Job, sink: Sink = quietly) -> Ended:
    """Run a job; a guest that dies without a verdict is tried once more.

    A command's own failure is a verdict, and never tried again.
    """

    def attempt() -> Outcome:
        return guests.run(
            job.kernel, job.command, machine=job.machine, timeout_s=job.timeout_s, sink=sink
        )

    retried = False
    try:
        try:
            return Ended(job, attempt(), None, retried)
        except GuestError as error:
            say(f"{job.label}: infrastructure failure: {error}\n{job.label}: trying once more")
            retried = True
            return Ended(job, attempt(), None, retried)
    except InfrastructureError as error:
        say(f"{job.label}: infrastructure failure: {error}")
        return Ended(job, None, error, retried)


def run_jobs(guests: Guests, jobs: Sequence[Job], done: Callable[[Ended], None]) -> list[Ended]:
    """Run jobs side by side; ``done`` hears of each as it ends.

    Returns:
        The ended jobs in the order of ``jobs``.
    """
    with ThreadPoolExecutor(GUESTS_AT_ONCE) as pool:
        futures = {pool.submit(run_job, guests, job): number for number, job in enumerate(jobs)}
        ended: dict[int, Ended] = {}
        for future in as_completed(futures):
            result = future.result()
            ended[futures[future]] = result
            done(result)
    return [ended[number] for number in sorted(ended)]
