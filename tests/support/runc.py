"""OCI containers by runc or crun alone, no engine."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.dockerd import remove_cgroups
from tests.support.rootfs import build_rootfs

_CAPABILITIES = [
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
    "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE",
]  # fmt: skip
_MOUNTS = [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
    {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "nodev"]},
]
_NAMESPACES = ("pid", "ipc", "uts", "mount", "network")
_UNIFIED = Path("/sys/fs/cgroup/unified")
_WITHOUT_UNIFIED = [
    "unshare", "--mount", "--propagation", "private",
    "sh", "-c", f'umount {_UNIFIED} && exec "$@"', "sh",
]  # fmt: skip


@dataclass(frozen=True)
class RuncContainer:
    """A container that runs."""

    id: str
    pid: int
    bundle: Path
    log: Path


class Runc:
    """Makes bundles and runs them; :meth:`close` removes all of it.

    Attributes:
        program: runc or crun.
        root: Where the runtime keeps its state (its own default unless given).
    """

    def __init__(self, program: Path, busybox: Path, root: Path | None = None) -> None:
        self.program = program
        # crun refuses a v1+v2 hybrid whose v2 side has controllers: hide that side.
        self._wrapper = _WITHOUT_UNIFIED if program.name == "crun" and _UNIFIED.is_dir() else []
        self.root = root or Path("/run") / program.name
        self._had_root = self.root.exists()
        self._work = Path(tempfile.mkdtemp(prefix="zt-runc-"))
        self._rootfs = build_rootfs(self._work / "rootfs", busybox)
        self._ids: list[str] = []
        self._count = 0

    def add_files(self, files: Mapping[str, Path]) -> None:
        """Put static binaries into the root file system: path inside -> file outside."""
        for inside, outside in files.items():
            target = self._rootfs / inside.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(outside, target)
            target.chmod(0o755)

    def new_id(self) -> str:
        """An id nobody else on this machine uses."""
        self._count += 1
        return f"{self._work.name}-{self._count}"

    def bundle(
        self,
        args: Sequence[str],
        *,
        container_id: str,
        annotations: Mapping[str, str] | None = None,
        namespaces: Mapping[str, str] | None = None,
        resources: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write a bundle and return its directory.

        Args:
            args: The command, inside the root file system.
            container_id: Names the directory and the cgroup.
            annotations: OCI annotations.
            namespaces: Type -> path to join, or ``host`` for the host's. Types that
                are not named get new ones: pid, ipc, uts, mount, network.
            resources: ``linux.resources``, ``{"pids": {"limit": 31}}`` and the like.
        """
        joined = {kind: (namespaces or {}).get(kind) for kind in _NAMESPACES}
        config = {
            "ociVersion": "1.0.2",
            "process": {
                "terminal": False,
                "user": {"uid": 0, "gid": 0},
                "args": list(args),
                "env": ["PATH=/bin"],
                "cwd": "/",
                "capabilities": dict.fromkeys(
                    ("bounding", "effective", "permitted"), _CAPABILITIES
                ),
            },
            "root": {"path": str(self._rootfs)},
            "hostname": "zt",
            "mounts": _MOUNTS,
            "annotations": dict(annotations or {}),
            "linux": {
                "cgroupsPath": f"/{self._work.name}/{container_id}",
                "resources": dict(resources or {}),
                "namespaces": [
                    {"type": kind} | ({"path": path} if path else {})
                    for kind, path in joined.items()
                    if path != "host"
                ],
            },
        }
        directory = self._work / container_id
        directory.mkdir()
        (directory / "config.json").write_text(json.dumps(config))
        return directory

    def run(
        self,
        args: Sequence[str],
        *,
        container_id: str | None = None,
        annotations: Mapping[str, str] | None = None,
        namespaces: Mapping[str, str] | None = None,
        resources: Mapping[str, Any] | None = None,
    ) -> RuncContainer:
        """Run a container detached; its output goes to ``.log``. See :meth:`bundle`."""
        container_id = container_id or self.new_id()
        directory = self.bundle(
            args,
            container_id=container_id,
            annotations=annotations,
            namespaces=namespaces,
            resources=resources,
        )
        log = directory / "output"
        pid_file = directory / "pid"
        self._ids.append(container_id)
        with log.open("wb") as output:
            done = subprocess.run(
                [*self.command, "run", "--detach", "--bundle", directory,
                 "--pid-file", pid_file, "--", container_id],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False,
            )  # fmt: skip
        if done.returncode:
            raise AssertionError(f"{self.program.name} run: {log.read_text(errors='replace')}")
        return RuncContainer(container_id, int(pid_file.read_text()), directory, log)

    @property
    def command(self) -> list[str | Path]:
        """The program with its ``--root``."""
        return [*self._wrapper, self.program, "--root", self.root]

    def cli(self, *args: str, check: bool = True) -> str:
        """Run ``runc --root ROOT ARGS`` and return its stripped stdout."""
        done = subprocess.run(
            [*self.command, *args], capture_output=True, text=True, timeout=100, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"{self.program.name} {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def remove_all(self) -> None:
        """Kill and remove every container made so far."""
        while self._ids:
            container_id = self._ids.pop()
            self.cli("delete", "--force", "--", container_id, check=False)
            shutil.rmtree(self._work / container_id, ignore_errors=True)

    def close(self) -> None:
        """Remove containers, cgroups, bundles and, if it was not there before, the root."""
        self.remove_all()
        remove_cgroups(self._work.name)
        shutil.rmtree(self._work)
        if not self._had_root and self.root.is_dir() and not any(self.root.iterdir()):
            self.root.rmdir()
