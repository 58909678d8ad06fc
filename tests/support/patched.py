"""zomtrace with something broken: a copy of it, changed, run in place of the real one."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tracer.model
from tracer.wire.header import bpf_directory

CONFIG = "\tconst struct zt_config *config = zt_get_config();\n\n"
ILLEGAL = "\t{ volatile char zt_no[8] = {}; if (zt_no[ctx->args[1]]) return 0; }\n"
"""What compiles, and no verifier lets through: a read at an unbounded offset."""


@dataclass(frozen=True)
class Patched:
    """A changed copy.

    Attributes:
        root: Holds ``tracer/`` and ``bpf/``.
    """

    root: Path

    def replace(self, file: str, old: str, new: str) -> None:
        """Change a file of the copy; what is to be changed must be there, once."""
        path = self.root / file
        text = path.read_text()
        assert text.count(old) == 1, f"{file} has {text.count(old)} times {old!r}"
        path.write_text(text.replace(old, new))

    def options(self, env: Mapping[str, str] | None = None) -> dict[str, Any]:
        """What makes :class:`Zomtrace` run this copy, its compiling child too."""
        return {
            "command": [sys.executable, "-P", "-m", "tracer.cli.main"],
            "env": {**(os.environ if env is None else env), "PYTHONPATH": str(self.root)},
        }


def patched_copy(where: Path) -> Patched:
    """Copy the package and its BPF sources."""
    package = Path(next(iter(tracer.model.__path__))).parent
    shutil.copytree(package, where / "tracer", ignore=shutil.ignore_patterns("__pycache__", "_bpf"))
    shutil.copytree(bpf_directory(), where / "bpf")
    return Patched(where)
