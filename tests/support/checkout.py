"""A checkout in which the scripts run with stand-ins for what they call."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Checkout:
    """A copy of the scripts, where every program they call can be replaced."""

    root: Path
    stand_ins: Path
    calls: Path

    def stand_in(self, path: Path, *, status: int = 0, prints: str = "") -> None:
        """Put a program at ``path`` that notes how it was called."""
        path.parent.mkdir(parents=True, exist_ok=True)
        output = f"cat <<'END'\n{prints}\nEND\n" if prints else ""
        path.write_text(f'#!/bin/sh\necho "${{0##*/}} $*" >>{self.calls}\n{output}exit {status}\n')
        path.chmod(0o755)

    def program(self, name: str, *, status: int = 0, prints: str = "") -> None:
        """Put a program in front of PATH."""
        self.stand_in(self.stand_ins / name, status=status, prints=prints)

    def tool(self, name: str, *, status: int = 0, prints: str = "") -> None:
        """Put a program into .venv."""
        self.stand_in(self.root / ".venv/bin" / name, status=status, prints=prints)

    def os_release(self, text: str) -> str:
        path = self.root.parent / "os-release"
        path.write_text(text)
        return str(path)

    def called(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []

    def environment(self, **changes: str) -> dict[str, str]:
        path = f"{self.stand_ins}:{os.environ['PATH']}"
        return os.environ | {"PATH": path, "COLUMNS": "80"} | changes

    def run(self, script: str, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.root / "scripts" / script, *arguments],
            env=self.environment(**changes),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
