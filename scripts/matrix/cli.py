"""The command line of scripts/kernel-matrix."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import FrameType

from matrix.cache import say
from matrix.catalogue import Catalogue, Kernel
from matrix.checkout import checkout_tar
from matrix.debian import HOST_PACKAGES, require_host
from matrix.docs import write_page
from matrix.errors import (
    EXIT_INFRASTRUCTURE,
    EXIT_OK,
    EXIT_TESTS_FAILED,
    EXIT_USAGE,
    InfrastructureError,
    UsageError,
)
from matrix.guest import Disks, Guests, InterruptedRunError, Machine
from matrix.here import NAME as HERE
from matrix.kernelimage import BootableKernel, bootable_kernel
from matrix.pythonimage import python_image
from matrix.rootimage import root_image
from matrix.schedule import Ended, Job, live, run_job, run_jobs
from matrix.testrun import TestRun

_BUILDS_AT_ONCE = 3

_DESCRIPTION = """\
Boot the kernels of tests/kernels.toml under QEMU and run something in each, as
root, in a copy of the work tree (changes and new files included).

Without a command, what runs is tests/kernel. With one, its output comes back,
and with a single kernel its exit status too.
"""
_EPILOG = """\
examples:
  scripts/kernel-matrix                        every kernel, every test
  scripts/kernel-matrix 5.10 6.12              two kernels
  scripts/kernel-matrix --oldest -k teardown   some tests in the oldest
  scripts/kernel-matrix 6.1 -- uname -a        one command in one kernel
  scripts/kernel-matrix --shell 5.10           be in that kernel

exit status: 0 all passed, 1 a test failed, 2 wrong usage, 75 no verdict was to
be had (no image, no kernel, a guest that died twice). With one kernel and a
command: the command's.

environment: XDG_CACHE_HOME (images are kept in $XDG_CACHE_HOME/zomtrace, by
default /var/cache/zomtrace), ZOMTRACE_KERNELS (which kernels when none is
named; "here" is the running one, without QEMU), ZOMTRACE_DEBIAN_MIRROR,
ZOMTRACE_QEMU_ACCEL (tcg, the default, or kvm).
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/kernel-matrix",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("kernels", nargs="*", metavar="KERNEL", help="which; default: all")
    add("--list", action="store_true", help="list the kernels and end")
    add("--oldest", action="store_true", help="the oldest kernel alone")
    add("--newest", action="store_true", help="the newest kernel alone")
    add("--shell", action="store_true", help="a shell in one kernel")
    add("--guest", action="append", default=[], metavar="NAME",
        help="only these of the guests tests/kernels.toml lists")  # fmt: skip
    add("-k", dest="expression", metavar="EXPR", help="only the tests pytest -k selects")
    add("-v", "--verbose", action="store_true", help="show what passing tests print too")
    add("--build", action="store_true", help="build what is not built yet, boot nothing, end")
    add("--docs", action="store_true", help="write docs/kernels.md from the last full run and end")
    add("--host-packages", action="store_true",
        help="print the Debian packages the host needs and end")  # fmt: skip
    command = parser.add_argument_group("with a command or --shell")
    add = command.add_argument
    add("--timeout", type=float, default=300.0, metavar="S", help="for the command (300)")
    add("--smp", type=int, default=1, metavar="N", help="processors (1)")
    add("--memory", type=int, default=1024, metavar="MIB", help="(1024)")
    add("--cmdline", default="", metavar="WORDS", help="added to the kernel's command line")
    add("--cgroup-v1", action="store_true", help="mount cgroup v1 controllers, not v2")
    return parser


def _names(arguments: argparse.Namespace, catalogue: Catalogue) -> list[str]:
    names: list[str] = list(arguments.kernels)
    if arguments.oldest:
        names.append(catalogue.defaults[0].name)
    if arguments.newest:
        names.append(catalogue.defaults[-1].name)
    if not names:
        names = os.environ.get("ZOMTRACE_KERNELS", "").replace(",", " ").split()
    return names or [kernel.name for kernel in catalogue.defaults]


def _chosen(names: Sequence[str], catalogue: Catalogue) -> list[Kernel]:
    return list(dict.fromkeys(catalogue.kernel(name) for name in names))


def _run_command(
    guests: Guests, kernels: Sequence[BootableKernel], command: Sequence[str], machine: Machine,
    timeout_s: float,
) -> int:  # fmt: skip
    jobs = [
        Job(kernel.kernel.name, kernel, machine, tuple(command), timeout_s) for kernel in kernels
    ]
    if len(jobs) == 1:
        outcome = run_job(guests, jobs[0], live).outcome
        return EXIT_INFRASTRUCTURE if outcome is None else outcome.status

    def show(ended: Ended) -> None:
        if ended.outcome is None:
            return
        print(
            f"==> {ended.job.label} ({ended.outcome.release}): exit {ended.outcome.status}, "
            f"{ended.outcome.seconds:.1f} s",
            flush=True,
        )
        live("stdout", ended.outcome.stdout)
        live("stderr", ended.outcome.stderr)

    outcomes = [ended.outcome for ended in run_jobs(guests, jobs, show)]
    if None in outcomes:
        return EXIT_INFRASTRUCTURE
    passed = all(outcome is not None and outcome.status == 0 for outcome in outcomes)
    return EXIT_OK if passed else EXIT_TESTS_FAILED


def _list(catalogue: Catalogue) -> int:
    for kernel in catalogue.kernels:
        when = "on request" if kernel.on_request else "always"
        guests = " ".join(guest.name for guest in catalogue.guests_of(kernel))
        print(f"{kernel.name:18} {kernel.suite:17} {kernel.package:24} {when:11} {guests}")
    return EXIT_OK


def _with_guests(
    arguments: argparse.Namespace, catalogue: Catalogue, chosen: Sequence[Kernel],
    command: Sequence[str], tests: TestRun,
) -> int:  # fmt: skip
    require_host()
    machine = Machine(arguments.smp, arguments.memory, arguments.cmdline, arguments.cgroup_v1)
    # The root image alone takes as long as the rest, mostly waiting for a mirror.
    with ThreadPoolExecutor(_BUILDS_AT_ONCE) as pool:
        building_root = pool.submit(root_image, catalogue)
        building_python = pool.submit(python_image, catalogue)
        kernels = list(pool.map(partial(bootable_kernel, catalogue), chosen))
        root, python = building_root.result(), building_python.result()
    if arguments.build:
        return EXIT_OK
    with tempfile.TemporaryDirectory(prefix="zomtrace-checkout-") as name:
        checkout = Path(name) / "checkout.tar"
        checkout_tar(checkout)
        guests = Guests(Disks(root, python, checkout))

        def stop(_signo: int, _frame: FrameType | None) -> None:
            guests.stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        if arguments.shell:
            return guests.shell(kernels[0], machine)
        if command:
            return _run_command(guests, kernels, command, machine, arguments.timeout)
        return tests.on_guests(guests, kernels)


def _main(argv: Sequence[str]) -> int:
    command: list[str] = []
    if "--" in argv:
        split = list(argv).index("--")
        argv, command = argv[:split], list(argv[split + 1 :])
    arguments = _parser().parse_args(argv)
    catalogue = Catalogue.load()
    if arguments.list:
        return _list(catalogue)
    if arguments.docs:
        write_page(catalogue)
        return EXIT_OK
    names = _names(arguments, catalogue)
    if arguments.host_packages:
        print("\n".join(HOST_PACKAGES if names != [HERE] else catalogue.guest_programs))
        return EXIT_OK
    unknown = set(arguments.guest) - {guest.name for guest in catalogue.guests}
    if unknown:
        raise UsageError(f"tests/kernels.toml has no guest called {', '.join(sorted(unknown))}")
    expression = ["-k", arguments.expression] if arguments.expression else []
    tests = TestRun(catalogue, arguments.guest, expression, arguments.verbose)
    if HERE in names:
        if names != [HERE] or command or arguments.shell:
            raise UsageError(f"{HERE!r} is the running kernel: it goes with no other, no command")
        return tests.on_this_machine()
    chosen = _chosen(names, catalogue)
    if arguments.shell and len(chosen) != 1:
        raise UsageError("--shell takes one kernel: --shell 5.10, or --shell --newest")
    if arguments.shell and not sys.stdin.isatty():
        raise UsageError("--shell needs a terminal; for a script: KERNEL -- COMMAND")
    return _with_guests(arguments, catalogue, chosen, command, tests)


def main() -> int:
    """Run, and turn what went wrong into an exit status."""
    try:
        return _main(sys.argv[1:])
    except UsageError as error:
        say(f"kernel-matrix: {error}")
        return EXIT_USAGE
    except InfrastructureError as error:
        say(f"kernel-matrix: {error}")
        return EXIT_INFRASTRUCTURE
    except InterruptedRunError:
        say("kernel-matrix: stopped")
        return 130
