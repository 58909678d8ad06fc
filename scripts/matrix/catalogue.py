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
class Catalogue:
    """Everything tests/kernels.toml says."""

    root_suite: str
    root_packages: tuple[str, ...]
    root_size_mib: int
    requirements: tuple[str, ...]
    left_out: frozenset[str]
    initrd_modules: tuple[str, ...]
    kernels: tuple[Kernel, ...]

    @classmethod
    def load(cls, path: Path = CATALOGUE_FILE) -> Catalogue:
        """Read the catalogue."""
        data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return cls(
            root_suite=data["root"]["suite"],
            root_packages=tuple(data["root"]["packages"]),
            root_size_mib=data["root"]["size_mib"],
            requirements=tuple(data["python"]["requirements"]),
            left_out=frozenset(data["python"]["leave_out"]),
            initrd_modules=tuple(data["initrd"]["modules"]),
            kernels=tuple(Kernel(**entry) for entry in data["kernel"]),
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
