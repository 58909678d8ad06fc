"""Another user, who may be hostile, on a host where /run is the test's own."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.containers import start_ticks
from tests.support.require import require_program, require_root
from tests.support.waiting import wait_for
from tests.support.zomtrace_process import Result, Zomtrace, zomtrace_command

MALLORY = 4321
_SET_UP = (
    "mount -t tmpfs -o mode=755 tmpfs /run && mkdir -m 755 /run/user /run/runc && echo ready"
    " && exec cat"
)
_SILENT_FUSE = """
import ctypes, os, sys
fd = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={fd},rootmode=40000,user_id={sys.argv[2]},group_id=0,allow_other"
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(b"fuse", sys.argv[1].encode(), b"fuse", 0, options.encode()):
    sys.exit(os.strerror(ctypes.get_errno()))
print("ready", flush=True)
sys.stdin.read()
"""


class PrivateHost:
    """This machine with a /run of its own, and users in it; use it in ``with``."""

    def __init__(self) -> None:
        require_root()
        require_program("unshare", "unshare")
        self._processes: list[subprocess.Popen[str]] = []
        self._holder = self._start(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", _SET_UP]
        )
        self._enter = ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        while self._processes:
            process = self._processes.pop()
            process.kill()
            process.communicate()

    def path(self, path: str | Path) -> Path:
        """Where the test itself finds a path of that host."""
        return Path(f"/proc/{self._holder.pid}/root{path}")

    def as_root(self, *argv: str | Path) -> None:
        """Run a command of root's there."""
        subprocess.run([*self._enter, *argv], check=True)

    def add_user(self, uid: int = MALLORY) -> Path:
        """Log a user in: ``/run/user/UID``."""
        home = Path(f"/run/user/{uid}")
        self.as_root("install", "-d", "-m", "700", "-o", str(uid), "-g", str(uid), home)
        return home

    def as_user(self, script: str, uid: int = MALLORY) -> None:
        """Run a shell script of a user's, in its ``/run/user/UID``."""
        self.as_root(*_becoming(uid), "bash", "-c", f"cd /run/user/{uid} && {script}")

    def write_as_user(self, path: Path, value: object, uid: int = MALLORY) -> None:
        """Have a user write JSON."""
        text = value if isinstance(value, str) else json.dumps(value)
        quoted = shlex.quote(str(path))
        self.as_user(
            f"mkdir -p $(dirname {quoted}) && printf %s {shlex.quote(text)} > {quoted}", uid
        )

    def start_as_user(self, *argv: str | Path, uid: int = MALLORY) -> subprocess.Popen[str]:
        """Start a program of a user's that says ``ready`` when it is."""
        return self._start([*self._enter, *_becoming(uid), *map(str, argv)])

    def start_as_root(self, *argv: str | Path) -> subprocess.Popen[str]:
        """Start a program of root's that says ``ready`` when it is."""
        return self._start([*self._enter, *map(str, argv)])

    def container_of(self, uid: int = MALLORY) -> int:
        """Start what a rootless runtime starts for a user; the host pid of its PID 1."""
        return self._unshared(_becoming(uid), "--user", "--map-root-user")

    def container_of_root(self, *, runs_as: int | None = None) -> int:
        """Start what a runtime starts for root; its processes may be another user's."""
        return self._unshared([], program=_becoming(runs_as) if runs_as is not None else ())

    def process_of_root(self) -> subprocess.Popen[str]:
        """A process of root's, in no container."""
        return self._start(["sh", "-c", "echo ready; exec sleep 1000"])

    def root_knows(
        self, container_id: str, pid: int, annotations: Mapping[str, str] | None = None
    ) -> None:
        """Have root's runc know a container."""
        directory = self.path(f"/run/runc/{container_id}")
        directory.mkdir()
        (directory / "state.json").write_text(json.dumps(runc_state(pid, annotations or {})))

    def user_knows(
        self,
        container_id: str,
        pid: int,
        annotations: Mapping[str, str] | None = None,
        uid: int = MALLORY,
    ) -> None:
        """Have a user's runc, or whoever writes there, know one."""
        path = Path(f"/run/user/{uid}/runc/{container_id}/state.json")
        self.write_as_user(path, runc_state(pid, annotations or {}), uid)

    def mount_silent_fuse(self, where: Path, uid: int = MALLORY) -> None:
        """Mount what a user serves and will never answer for."""
        self._start([*self._enter, sys.executable, "-c", _SILENT_FUSE, str(where), str(uid)])

    def watch_programs(self, *names: str) -> Path:
        """Put a stand-in over the runtimes that notes each run; where it notes them."""
        notes = "/run/programs-that-ran"
        stand_in = self.path("/run/stand-in")
        stand_in.write_text(f'#!/bin/sh\necho "$0 $*" >>{notes}\nexit 1\n')
        stand_in.chmod(0o755)
        for name in names:
            program = require_program(name, name)
            self.as_root("mount", "--bind", "/run/stand-in", program)
        return self.path(notes)

    def zomtrace(
        self, *args: str, status: int | None = 0, within_s: float = 30.0, **options: Any
    ) -> Result:
        """Run zomtrace there, as root, with ``--json``."""
        with self.start_zomtrace(*args, **options) as trace:
            return trace.finish(status=status, within_s=within_s)

    def start_zomtrace(self, *args: str, **options: Any) -> Zomtrace:
        """Start it."""
        return Zomtrace(*args, command=[*self._enter, *zomtrace_command()], **options)

    def find(
        self,
        name: str,
        *,
        status: int = 0,
        uid: int | None = None,
        env: Mapping[str, str] | None = None,
        within_s: float = 30.0,
    ) -> Result:
        """Look a container up: ``zomtrace zombies -c NAME``, which does nothing else."""
        become = _becoming(uid) if uid is not None else []
        command = [*self._enter, *become, *zomtrace_command()]
        with Zomtrace(
            "zombies", "-c", name, command=command, holds_contract=False, env=env
        ) as looking:
            return looking.finish(status=status, within_s=within_s)

    def _unshared(
        self, become: Sequence[str], *options: str, program: Sequence[str | Path] = ()
    ) -> int:
        unshare = ["unshare", *options, "--pid", "--fork", "--kill-child"]
        script = "echo ready; exec sleep 1000"
        process = self._start([*become, *unshare, *program, "sh", "-c", script])
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        return int(wait_for(lambda: children.read_text().split(), "unshare forks")[0])

    def _start(self, argv: Sequence[str | Path]) -> subprocess.Popen[str]:
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", argv
        return process


def _becoming(uid: int) -> list[str]:
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]


def runc_state(pid: int, annotations: Mapping[str, str]) -> dict[str, Any]:
    """What runc writes of a container, reduced to what is read of it."""
    return {
        "init_process_pid": pid,
        "init_process_start": start_ticks(pid),
        "config": {"labels": [f"{key}={value}" for key, value in annotations.items()]},
    }


def crun_status(pid: int, bundle: str) -> dict[str, Any]:
    """The same of crun."""
    return {"pid": pid, "process-start-time": start_ticks(pid), "bundle": bundle}


def is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}
