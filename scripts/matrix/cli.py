"""The command line of scripts/kernel-matrix."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

from matrix.cache import say
from matrix.catalogue import Catalogue, Kernel
from matrix.checkout import checkout_tar
from matrix.debian import HOST_PACKAGES, require_host
from matrix.errors import (
    EXIT_INFRASTRUCTURE,
    EXIT_OK,
    EXIT_TESTS_FAILED,
    EXIT_USAGE,
    GuestError,
    InfrastructureError,
    UsageError,
)
from matrix.guest import GUESTS_AT_ONCE, Disks, Guests, InterruptedRunError, Machine, Outcome
from matrix.kernelimage import BootableKernel, bootable_kernel
from matrix.pythonimage import python_image
from matrix.rootimage import root_image

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
  scripts/kernel-matrix 6.1 -- uname -a        one command in one kernel
  scripts/kernel-matrix --shell 5.10           be in that kernel

exit status: 0 all passed, 1 a test failed, 2 wrong usage, 75 no verdict was to
be had (no image, no kernel, a guest that died twice). With one kernel and a
command: the command's.

environment: XDG_CACHE_HOME (images are kept in $XDG_CACHE_HOME/zomtrace, by
default /var/cache/zomtrace), ZOMTRACE_DEBIAN_MIRROR, ZOMTRACE_QEMU_ACCEL (tcg,
the default, or kvm).
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/kernel-matrix",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", help="which; default: all")
    parser.add_argument("--list", action="store_true", help="list the kernels and end")
    parser.add_argument("--oldest", action="store_true", help="the oldest kernel alone")
    parser.add_argument("--newest", action="store_true", help="the newest kernel alone")
    parser.add_argument("--shell", action="store_true", help="a shell in one kernel")
    parser.add_argument("--host-packages", action="store_true",
                        help="print the Debian packages the host needs and end")  # fmt: skip
    parser.add_argument("--timeout", type=float, default=300.0, metavar="S",
                        help="seconds a command may take in a guest (300)")  # fmt: skip
    parser.add_argument("--smp", type=int, default=1, metavar="N", help="processors (1)")
    parser.add_argument("--memory", type=int, default=1024, metavar="MIB", help="(1024)")
    parser.add_argument("--cmdline", default="", metavar="WORDS",
                        help="added to the kernel's command line")  # fmt: skip
    parser.add_argument("--cgroup-v1", action="store_true", help="mount cgroup v1 controllers")
    return parser


def _chosen(arguments: argparse.Namespace, catalogue: Catalogue) -> list[Kernel]:
    chosen = [catalogue.kernel(name) for name in arguments.kernels]
    if arguments.oldest:
        chosen.append(catalogue.defaults[0])
    if arguments.newest:
        chosen.append(catalogue.defaults[-1])
    return list(dict.fromkeys(chosen)) or list(catalogue.defaults)


def _run_once(
    guests: Guests, kernel: BootableKernel, command: Sequence[str],
    arguments: argparse.Namespace, machine: Machine, live: bool,
) -> Outcome:  # fmt: skip
    def sink(stream: str, data: bytes) -> None:
        if live:
            target = sys.stdout if stream == "stdout" else sys.stderr
            target.buffer.write(data)
            target.buffer.flush()

    def attempt() -> Outcome:
        return guests.run(
            kernel, command, machine=machine, timeout_s=arguments.timeout, sink=sink
        )

    try:
        return attempt()
    except GuestError as error:
        say(f"{kernel.kernel.name}: {error}\n{kernel.kernel.name}: trying once more")
    return attempt()


def _run_command(
    guests: Guests, kernels: Sequence[BootableKernel], command: Sequence[str],
    arguments: argparse.Namespace, machine: Machine,
) -> int:  # fmt: skip
    live = len(kernels) == 1
    statuses: list[int] = []
    with ThreadPoolExecutor(GUESTS_AT_ONCE) as pool:
        futures = [
            pool.submit(_run_once, guests, kernel, command, arguments, machine, live)
            for kernel in kernels
        ]
        for kernel, future in zip(kernels, futures, strict=True):
            try:
                outcome = future.result()
            except InfrastructureError as error:
                say(f"{kernel.kernel.name}: {error}")
                statuses.append(EXIT_INFRASTRUCTURE)
                continue
            statuses.append(outcome.status)
            if not live:
                print(f"==> {kernel.kernel.name} ({outcome.release}): exit {outcome.status}, "
                      f"{outcome.seconds:.1f} s", flush=True)  # fmt: skip
                sys.stdout.buffer.write(outcome.stdout)
                sys.stdout.buffer.flush()
                sys.stderr.buffer.write(outcome.stderr)
                sys.stderr.buffer.flush()
    if live:
        return statuses[0]
    if EXIT_INFRASTRUCTURE in statuses:
        return EXIT_INFRASTRUCTURE
    return EXIT_TESTS_FAILED if any(statuses) else EXIT_OK


def _list(catalogue: Catalogue) -> int:
    for kernel in catalogue.kernels:
        when = "on request" if kernel.on_request else "always"
        print(f"{kernel.name:18} {kernel.suite:18} {kernel.package:26} {when}")
    return EXIT_OK


def _main(argv: Sequence[str]) -> int:
    command: list[str] = []
    if "--" in argv:
        split = list(argv).index("--")
        argv, command = argv[:split], list(argv[split + 1 :])
    arguments = _parser().parse_args(argv)
    catalogue = Catalogue.load()
    if arguments.list:
        return _list(catalogue)
    if arguments.host_packages:
        print("\n".join(HOST_PACKAGES))
        return EXIT_OK
    chosen = _chosen(arguments, catalogue)
    if arguments.shell and len(chosen) != 1:
        raise UsageError("--shell takes one kernel: --shell 5.10, or --shell --newest")
    if arguments.shell and not sys.stdin.isatty():
        raise UsageError("--shell needs a terminal; for a script: KERNEL -- COMMAND")
    require_host()
    machine = Machine(arguments.smp, arguments.memory, arguments.cmdline, arguments.cgroup_v1)
    root = root_image(catalogue)
    python = python_image(catalogue)
    kernels = [bootable_kernel(catalogue, kernel) for kernel in chosen]
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
        return _run_command(guests, kernels, command or ["true"], arguments, machine)


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
