"""Containers by podman, with storage of the test session's own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.support.dockerd import IMAGE, remove_cgroups
from tests.support.rootfs import build_rootfs, tar_rootfs

_LIBRARY = Path("/var/lib/containers")


class Podman:
    """podman over runc (crun refuses a v1+v2 hybrid); :meth:`close` removes all of it.

    Attributes:
        storage: Its storage directory.
    """

    def __init__(self, podman: Path, runc: Path, busybox: Path) -> None:
        self._had_library = _LIBRARY.exists()
        self._work = Path(tempfile.mkdtemp(prefix="zt-podman-"))
        self.storage = self._work / "storage"
        self._command: list[str | Path] = [
            podman,
            "--root", self.storage,
            "--runroot", self._work / "run",
            "--tmpdir", self._work / "tmp",
            "--runtime", runc,
            "--cgroup-manager", "cgroupfs",
            "--events-backend", "file",
        ]  # fmt: skip
        rootfs = build_rootfs(self._work / "rootfs", busybox)
        self.cli("import", "-", IMAGE, data=tar_rootfs(rootfs))

    def cli(self, *args: str, data: bytes | None = None) -> str:
        """Run podman and return its stripped stdout."""
        done = subprocess.run(
            [*self._command, *args], input=data, capture_output=True, timeout=100, check=False
        )
        if done.returncode:
            raise AssertionError(f"podman {' '.join(args)}: {done.stderr.decode().strip()}")
        return done.stdout.decode().strip()

    def run(self, *args: str) -> str:
        """``podman run -d ARGS``: the full id of the container."""
        # The ulimits podman would set may be above what this machine lets it.
        limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000")
        parent = ("--cgroup-parent", f"/{self._work.name}")
        return self.cli("run", "-d", "--network", "none", *limits, *parent, *args)

    def pid(self, container: str) -> int:
        """The host pid of a container's init."""
        return int(self.cli("inspect", "--format", "{{.State.Pid}}", container))

    def remove_all(self) -> None:
        """Kill and remove every container."""
        self.cli("rm", "--all", "--force", "--time", "0")

    def close(self) -> None:
        """Remove containers, cgroups and files."""
        self.remove_all()
        remove_cgroups(self._work.name)
        shutil.rmtree(self._work)
        if not self._had_library and _LIBRARY.exists():
            shutil.rmtree(_LIBRARY)
