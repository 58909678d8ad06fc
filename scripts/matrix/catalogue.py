"""tests/kernels.toml, read."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matrix.errors import UsageError

CHECKOUT = Path(__file__).resolve().parent.parent.parent
CATALOGUE_FILE = CHECKOUT / "tests" / "kernels.toml"


@dataclass(frozen=True, slots=True)
class Kernel:
    """A supported kernel.

    Args:
        name: What it is called on the command line.
        suite: The Debian suite it comes from.
        package: The suite's metapackage that names the current version.
        on_request: Whether it is booted only when it is named.
    """

    name: str
    suite: str
    package: str
    on_request: bool = False


@dataclass(frozen=True, slots=True)
class GuestKind:
    """A boot of a kernel, and the tests that want just that.

    Args:
        name: What it is called.
        tests: Paths of tests, from the checkout's top.
        kernels: ``all``, ``oldest``, ``newest``, or names.
        cmdline: What is added to the kernel's command line.
        cpus: Processors.
        cgroup_v1: Mount the version 1 controllers instead of version 2.
        here: Whether they run on any machine with such a kernel as well.
        timeout_s: How long the tests may take.
    """

    name: str
    tests: tuple[str, ...]
    kernels: str | tuple[str, ...] = "all"
    cmdline: str = ""
    cpus: int = 1
    cgroup_v1: bool = False
    here: bool = False
    timeout_s: float = 900.0

    @classmethod
    def parse(cls, entry: dict[str, Any]) -> GuestKind:
        """Read one [[guest]] of the catalogue."""
        lists = {key: tuple(value) for key, value in entry.items() if isinstance(value, list)}
        return cls(**{**entry, **lists})


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything tests/kernels.toml says.

    ``guest_programs`` are those of the root's packages that the tests run: a
    machine whose own kernel is tested needs them too.
    """

    root_suite: str
    root_packages: tuple[str, ...]
    root_size_mib: int
    requirements: tuple[str, ...]
    left_out: frozenset[str]
    initrd_modules: tuple[str, ...]
    kernels: tuple[Kernel, ...]
    guests: tuple[GuestKind, ...]
    guest_programs: tuple[str, ...]

    @classmethod
    def load(cls, path: Path = CATALOGUE_FILE) -> Catalogue:
        """Read the catalogue."""
        data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return cls(
            root_suite=data["root"]["suite"],
            root_packages=tuple(data["root"]["packages"] + data["root"]["programs"]),
            root_size_mib=data["root"]["size_mib"],
            requirements=tuple(data["python"]["requirements"]),
            left_out=frozenset(data["python"]["leave_out"]),
            initrd_modules=tuple(data["initrd"]["modules"]),
            kernels=tuple(Kernel(**entry) for entry in data["kernel"]),
            guests=tuple(GuestKind.parse(entry) for entry in data["guest"]),
            guest_programs=tuple(data["root"]["programs"]),
        )

    @property
    def defaults(self) -> tuple[Kernel, ...]:
        """The kernels of an ordinary run, oldest first."""
        return tuple(kernel for kernel in self.kernels if not kernel.on_request)

    def kernel(self, name: str) -> Kernel:
        """Look a kernel up by its name or its suite's name.

        Raises:
            UsageError: No kernel is called that.
        """
        for kernel in self.kernels:
            if kernel.name == name:
                return kernel
        for kernel in self.defaults:
            if kernel.suite == name:
                return kernel
        known = ", ".join(kernel.name for kernel in self.kernels)
        raise UsageError(f"no kernel is called {name!r}; tests/kernels.toml has {known}")

    def guests_of(self, kernel: Kernel) -> tuple[GuestKind, ...]:
        """Say which guests test a kernel.

        A kernel that is only booted on request gets every guest: who names it
        wants to know all about it.
        """

        def wants(guest: GuestKind) -> bool:
            if guest.kernels == "all" or kernel.on_request:
                return True
            if guest.kernels == "oldest":
                return kernel == self.defaults[0]
            if guest.kernels == "newest":
                return kernel == self.defaults[-1]
            return kernel.name in guest.kernels

        return tuple(guest for guest in self.guests if wants(guest))
