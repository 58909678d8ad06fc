"""Stopping a container the way its own runtime would."""

from __future__ import annotations

import math
import os
import select
import shutil
import signal
import subprocess
from pathlib import Path

from tracer.containers.init_process import InitProcess
from tracer.errors import RuntimeUnreachableError, TargetNotFoundError, UnavailableError
from tracer.model.target import Container

DEFAULT_GRACE_S = 10.0
"""For runtimes that have no grace of their own to speak of (runc, crun, ctr)."""
_SBIN = ":/usr/local/sbin:/usr/sbin:/sbin"
_ENDING_S = 30
"""How long an init may take to be gone after SIGKILL."""


def stop_container(container: Container, grace_s: float | None) -> None:
    """Stop a container through its own runtime; return when its init is gone.

    Docker is asked by its API; podman, nerdctl and crictl by their commands;
    runc, crun and ctr only send signals, so stop signal, grace and SIGKILL are
    ours to do there.

    Args:
        container: As it was resolved.
        grace_s: Between stop signal and SIGKILL, s; None for what the container
            has configured, else its runtime's default.

    Raises:
        TargetNotFoundError: It is not there any more.
        RuntimeUnreachableError: Its engine does not answer, or its command is missing.
        UnavailableError: The runtime refused.
    """
    if container.runtime == "docker" and container.engine_address is not None:
        from tracer.containers.docker import DockerEngine

        DockerEngine(container.engine_address).stop(container.id, grace_s)
        return
    if container.runtime not in ("podman", "cri", "containerd", "runc", "crun"):
        raise UnavailableError(
            f"{container.label} has no runtime that could stop it ({container.runtime})",
            hint=f"send a signal to process {container.init_host_pid} yourself",
        )
    pidfd = _open_init(container)
    try:
        command = _stop_command(container, grace_s)
        if command is None:
            _signal_grace_kill(container, pidfd, grace_s)
        else:
            _run(command, container, pidfd)
    finally:
        os.close(pidfd)


def _stop_command(container: Container, grace_s: float | None) -> list[str] | None:
    """Name the runtime's own command for the whole stop, where it has one."""
    address = container.engine_address or ""
    if container.runtime == "podman":
        command = ["podman", "--root", address, "stop"]
        return [*command, *_option("--time", grace_s), container.id]
    if container.runtime == "cri" and _find_program("crictl"):
        # CRI-O's were found by their OCI state: crictl's own configuration knows it.
        endpoint = ["--runtime-endpoint", f"unix://{address}"] if _is_containerd(container) else []
        waits_s = grace_s if grace_s is not None else DEFAULT_GRACE_S
        return ["crictl", *endpoint, "stop", *_option("--timeout", waits_s), container.id]
    # Only nerdctl names containers on containerd.
    if container.runtime == "containerd" and container.name and _find_program("nerdctl"):
        engine = ["--address", address, "--namespace", container.engine_namespace or "default"]
        return ["nerdctl", *engine, "stop", *_option("--time", grace_s), container.id]
    return None


def _kill_command(container: Container, signo: int) -> list[str]:
    address = container.engine_address or ""
    if _is_containerd(container):
        engine = ["--address", address, "--namespace", container.engine_namespace or "default"]
        return ["ctr", *engine, "tasks", "kill", "--signal", str(signo), container.id]
    is_crun = container.runtime == "crun" or (Path(address) / container.id / "status").exists()
    return ["crun" if is_crun else "runc", "--root", address, "kill", container.id, str(signo)]


def _is_containerd(container: Container) -> bool:
    return container.engine_namespace is not None


def _signal_grace_kill(container: Container, pidfd: int, grace_s: float | None) -> None:
    if grace_s is None:
        grace_s = container.stop_timeout_s
    if grace_s is None:
        grace_s = DEFAULT_GRACE_S
    for signo, waits_s in ((container.stop_signo, grace_s), (signal.SIGKILL, _ENDING_S)):
        _run(_kill_command(container, int(signo)), container, pidfd)
        if _is_gone(pidfd, waits_s):
            return
    raise UnavailableError(
        f"{container.label} survives SIGKILL: process {container.init_host_pid} does not end",
        hint=f"see what it is blocked in: cat /proc/{container.init_host_pid}/wchan",
    )


def _run(command: list[str], container: Container, pidfd: int) -> None:
    program = _find_program(command[0])
    if program is None:
        raise RuntimeUnreachableError(
            f"cannot stop {container.label}: there is no {command[0]} here",
            hint=f"install {command[0]}, or stop the container by the means you started it with",
        )
    done = subprocess.run(
        [program, *command[1:]],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    # A refusal because it ended by itself meanwhile is what was wanted.
    if done.returncode and not _is_gone(pidfd, 0):
        lines = done.stderr.strip().splitlines()
        raise UnavailableError(
            f"{command[0]} does not stop {container.label}: "
            f"{lines[-1] if lines else f'exit status {done.returncode}'}"
        )


def _open_init(container: Container) -> int:
    gone = f"container {container.label} is not running any more"
    try:
        pidfd = os.pidfd_open(container.init_host_pid)
    except ProcessLookupError as error:
        raise TargetNotFoundError(gone) from error
    # The descriptor is of whoever has that pid now: see that it is still the init.
    if not _is_still(container):
        os.close(pidfd)
        raise TargetNotFoundError(gone)
    return pidfd


def _is_still(container: Container) -> bool:
    try:
        init = InitProcess(container.init_host_pid)
        try:
            start_boot_ns = init.status().start_boot_ns
        finally:
            init.close()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return container.init_start_boot_ns in (None, start_boot_ns)


def _is_gone(pidfd: int, within_s: float) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(math.ceil(within_s * 1000)))


def _find_program(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", os.defpath) + _SBIN)


def _option(name: str, seconds: float | None) -> list[str]:
    return [] if seconds is None else [name, str(math.ceil(seconds))]
