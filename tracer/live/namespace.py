"""A command as PID 1 of a new PID namespace, held until it may start.

This is what ``zomtrace run`` and the demos trace: no container engine, no
image, just the kernel's part of a container.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from tracer.errors import PrivilegeError, UnavailableError, UsageError
from tracer.kernel import rights
from tracer.model.rights import MAKE_NAMESPACES, names
from tracer.model.target import OWN_RUNTIME, Container
from tracer.procfs import process as procfs
from tracer.procfs.patience import NoAnswerError
from tracer.trust.programs import find_first

_INITS = (
    ("tini", ("-s", "--")),
    ("docker-init", ("-s", "--")),
    ("catatonit", ("--",)),
    ("dumb-init", ("--",)),
)
_NEEDED = names(next(iter(MAKE_NAMESPACES.choices)))
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_CLONE_NEWNS = 0x00020000
_CLONE_NEWPID = 0x20000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_MS_REC, _MS_PRIVATE = 0x4000, 1 << 18


def find_init() -> list[str]:
    """The argv prefix of an init that forwards signals and reaps.

    Raises:
        UnavailableError: None is installed.
    """
    found = find_first(_INITS)
    if found is not None:
        return found
    raise UnavailableError(
        "--init: no init program found (tini, docker-init, catatonit, dumb-init)",
        hint="install one, for example: apt-get install tini",
    )


class HeldWorkload:
    """CMD in a new PID namespace; starts when released, ends with this process.

    Args:
        command: The program and its arguments.
        stop_signo: What a stop will send it.
        grace_s: How long after that a stop will send SIGKILL; None = not known.
        name: What to call it; the program's name by default.
        environment: Additions to the environment.

    Raises:
        UsageError: The program does not exist or cannot be run.
        PrivilegeError: Not root.
        UnavailableError: The namespace is refused.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        stop_signo: int = signal.SIGTERM,
        grace_s: float | None = None,
        name: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if shutil.which(command[0]) is None:
            raise UsageError(
                f"{command[0]}: program not found", hint="give a path, or a name found in PATH"
            )
        self.name = name or os.path.basename(command[0])
        self._stop_signo = int(stop_signo)
        self._grace_s = grace_s
        hold_read, self._hold_write = os.pipe()
        # The shell is PID 1 while it waits and becomes CMD by exec: one
        # process, one start time. It waits on its stdin: dash cannot name a
        # descriptor above 9.
        script = 'read -r _ || exit 125; exec "$@" </dev/null'
        try:
            with _new_pidns_for_children():
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", script, "zomtrace-run", *command],
                    stdin=hold_read,
                    stdout=2,
                    start_new_session=True,
                    env={**os.environ, **(environment or {})},
                    # No thread is running yet, and what it calls is libc alone.
                    preexec_fn=_enter_namespaces,  # noqa: PLW1509
                )
        except subprocess.SubprocessError as error:
            os.close(self._hold_write)
            raise UnavailableError(
                f"cannot set up a PID namespace for {self.name}: mounting /proc failed",
                hint="this requires CAP_SYS_ADMIN; some sandboxes refuse the mount",
            ) from error
        finally:
            os.close(hold_read)
        self.init_host_pid = self._process.pid
        self._pidfd = os.pidfd_open(self.init_host_pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def container(self) -> Container:
        """The workload as a target."""
        host_pid, pidfd = self.init_host_pid, self._pidfd
        try:
            status = procfs.ask_while_there(pidfd, lambda: procfs.read_status(host_pid))
            pidns_inum = procfs.ask_while_there(pidfd, lambda: procfs.read_pidns_inum(host_pid))
        except NoAnswerError as error:
            raise UnavailableError(f"{self.name} cannot be traced: {error}") from error
        if status is None or pidns_inum is None:
            raise UnavailableError(f"{self.name} exited before it was started")
        return Container(
            id=f"run-{self.init_host_pid}",
            name=self.name,
            runtime=OWN_RUNTIME,
            init_host_pid=self.init_host_pid,
            init_start_boot_ns=status.start_boot_ns,
            pidns_inum=pidns_inum,
            has_own_pidns=True,
            cgroup_path=None,
            cgroup_id=None,
            stop_signo=self._stop_signo,
            runtime_pids=(os.getpid(),),
            stop_timeout_s=self._grace_s,
        )

    def release(self) -> None:
        """Let CMD start."""
        os.write(self._hold_write, b"go\n")
        os.close(self._hold_write)
        self._hold_write = -1

    def send(self, signo: int) -> bool:
        """Send a signal to PID 1 from outside; False if it has ended."""
        try:
            signal.pidfd_send_signal(self._pidfd, signo)
        except ProcessLookupError:
            return False
        return True

    def fileno(self) -> int:
        """Readable once PID 1 has ended: call :meth:`reap` then."""
        return self._pidfd

    def reap(self) -> int:
        """Wait for PID 1, as its runtime must; its returncode, as Popen's."""
        return self._process.wait()

    def close(self) -> None:
        """End whatever is left and reap it."""
        if self._hold_write >= 0:
            os.close(self._hold_write)
            self._hold_write = -1
        if self._pidfd >= 0:
            self.send(signal.SIGKILL)
            os.close(self._pidfd)
            self._pidfd = -1
        self._process.wait()


@contextmanager
def _new_pidns_for_children() -> Iterator[None]:
    # unshare(CLONE_NEWPID) moves children only; setns to our own namespace
    # undoes it, so that later children are forked in our own namespace again.
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _LIBC.unshare(_CLONE_NEWPID) != 0:
            _refuse("unshare(CLONE_NEWPID)")
        try:
            yield
        finally:
            if _LIBC.setns(own, _CLONE_NEWPID) != 0:
                _refuse("setns(own PID namespace)")
    finally:
        os.close(own)


def _refuse(call: str) -> None:
    code = ctypes.get_errno()
    if code == errno.EPERM:
        lacking = rights.missing(MAKE_NAMESPACES)
        why = f": {lacking} missing" if lacking else f" ({call}), though {_NEEDED} is held"
        raise PrivilegeError(
            f"a new PID namespace is not permitted{why}",
            hint=f"run as root, or with {_NEEDED}; in a container also without its seccomp filter",
        )
    raise UnavailableError(
        f"{call}: {os.strerror(code)}", hint="this host does not allow a new PID namespace"
    )


def _enter_namespaces() -> None:
    # Runs in the child between fork and exec; an exception surfaces as
    # SubprocessError in the parent.
    steps = (
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0),
        _LIBC.unshare(_CLONE_NEWNS),
        _LIBC.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None),
        _LIBC.mount(b"proc", b"/proc", b"proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, None),
    )
    if any(steps):
        raise OSError(ctypes.get_errno(), "namespace set-up")
