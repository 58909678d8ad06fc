"""Stopping a container the way its own runtime would."""

from __future__ import annotations

import math
import os
import select
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from tracer.containers.init_process import open_init
from tracer.errors import PrivilegeError, RuntimeUnreachableError, UnavailableError
from tracer.model.target import Container
from tracer.trust.programs import (
    DIRECTORIES,
    ProgramRefusedError,
    clean_environment,
    find_program,
)
from tracer.trust.walk import refusal

DEFAULT_GRACE_S = 10.0
"""For runtimes that have no grace of their own to speak of (runc, crun, ctr)."""
_LONGEST_WAIT_S = 20 * 86400
"""poll(2) takes no more milliseconds."""
_SHOWN = 300
_ENDING_S = 30
"""How long an init may take to be gone after SIGKILL."""


def check_may_stop(container: Container) -> None:
    """Ask the kernel whether we may signal a container that is not stopped by an engine.

    A runtime's command has the rights that we have, and says less clearly which one it
    lacks. Signal 0 is checked like any other, and is not sent.

    Raises:
        PrivilegeError: We may not.
        TargetNotFoundError: It is not there any more.
    """
    if container.runtime == "docker":
        return
    pidfd = open_init(container)
    try:
        _send(container, pidfd, 0)
    finally:
        os.close(pidfd)


def stop_container(container: Container, grace_s: float | None) -> None:
    """Stop a container through its own runtime; return when its init is gone.

    Docker is asked by its API; podman, nerdctl and crictl by their commands;
    runc, crun and ctr only send signals, so stop signal, grace and SIGKILL are
    ours to do there.

    No command is run on state that another user can write: it would do with root's
    privileges what that user wrote. Such a container's init is sent the signals
    through its pidfd instead.

    Args:
        container: As it was resolved.
        grace_s: Between stop signal and SIGKILL, s; None for what the container
            has configured, else its runtime's default.

    Raises:
        TargetNotFoundError: It is not there any more.
        RuntimeUnreachableError: Its engine does not answer, or its command is missing.
        UnavailableError: The runtime refused, or said that it is done and is not.
        PrivilegeError: We may not signal it.
    """
    if container.runtime not in ("docker", "podman", "cri", "containerd", "runc", "crun"):
        raise UnavailableError(
            f"{container.label} has no runtime that can stop it ({container.runtime})",
            hint=f"send a signal to process {container.init_host_pid} yourself",
        )
    pidfd = open_init(container)
    try:
        if container.runtime == "docker":
            _ask_docker(container, pidfd, grace_s)
        elif not _is_roots(container):
            _signal_grace_kill(container, pidfd, grace_s, _send)
        else:
            command = _stop_command(container, grace_s)
            if command is None:
                _signal_grace_kill(container, pidfd, grace_s, _run_kill)
            else:
                _run(command, container, pidfd)
                _await_end(container, pidfd, command[0])
    finally:
        os.close(pidfd)


def _ask_docker(container: Container, pidfd: int, grace_s: float | None) -> None:
    from tracer.containers.docker import DockerEngine

    address = container.engine_address or ""
    DockerEngine(address, owner_uid=container.owner_uid).stop(container.id, grace_s)
    _await_end(container, pidfd, f"the Docker engine at {address}")


def _await_end(container: Container, pidfd: int, who: str) -> None:
    """Check the claim of a runtime that a container is stopped."""
    if not _is_gone(pidfd, _ENDING_S):
        raise UnavailableError(
            f"{who} reported that {container.label} is stopped, but its init, process"
            f" {container.init_host_pid}, is still running",
            hint="it did not stop the container that was traced",
        )


def _is_roots(container: Container) -> bool:
    """Whether all that the runtime's command would work on is root's (or ours) alone."""
    address = container.engine_address
    if container.owner_uid is not None or address is None:
        return False
    places = [address]
    if container.runtime in ("runc", "crun"):
        places.append(f"{address}/{container.id}")
    return all(refusal(place) is None for place in places)


def _stop_command(container: Container, grace_s: float | None) -> list[str] | None:
    """Name the runtime's own command for the whole stop, where it has one."""
    address = container.engine_address or ""
    if container.runtime == "podman":
        command = ["podman", "--root", address, "stop"]
        return [*command, *_option("--time", grace_s), container.id]
    if container.runtime == "cri" and _has_program("crictl"):
        # CRI-O's were found by their OCI state: crictl's own configuration knows it.
        endpoint = ["--runtime-endpoint", f"unix://{address}"] if _is_containerd(container) else []
        waits_s = grace_s if grace_s is not None else DEFAULT_GRACE_S
        return ["crictl", *endpoint, "stop", *_option("--timeout", waits_s), container.id]
    # Only nerdctl names containers on containerd.
    if container.runtime == "containerd" and container.name and _has_program("nerdctl"):
        engine = ["--address", address, "--namespace", container.engine_namespace or "default"]
        return ["nerdctl", *engine, "stop", *_option("--time", grace_s), container.id]
    return None


def _kill_command(container: Container, signo: int) -> list[str]:
    address = container.engine_address or ""
    if _is_containerd(container):
        engine = ["--address", address, "--namespace", container.engine_namespace or "default"]
        return ["ctr", *engine, "tasks", "kill", "--signal", str(signo), container.id]
    is_crun = container.runtime == "crun" or (Path(address) / container.id / "status").exists()
    program = "crun" if is_crun else "runc"
    # An id may be "--all": read as an option, the signal's number would be the id.
    return [program, "--root", address, "kill", "--", container.id, str(signo)]


def _is_containerd(container: Container) -> bool:
    return container.engine_namespace is not None


def _signal_grace_kill(
    container: Container,
    pidfd: int,
    grace_s: float | None,
    kill: Callable[[Container, int, int], None],
) -> None:
    if grace_s is None:
        grace_s = container.stop_timeout_s
    if grace_s is None:
        grace_s = DEFAULT_GRACE_S
    for signo, waits_s in ((container.stop_signo, grace_s), (signal.SIGKILL, _ENDING_S)):
        kill(container, pidfd, int(signo))
        if _is_gone(pidfd, waits_s):
            return
    raise UnavailableError(
        f"{container.label} survived SIGKILL: process {container.init_host_pid} did not exit",
        hint=f"check what it is blocked in: cat /proc/{container.init_host_pid}/wchan",
    )


def _send(container: Container, pidfd: int, signo: int) -> None:
    try:
        signal.pidfd_send_signal(pidfd, signo)
    except ProcessLookupError:
        # It ended meanwhile, as was wanted.
        return
    except PermissionError as error:
        raise _may_not_signal(container) from error


def _may_not_signal(container: Container) -> PrivilegeError:
    return PrivilegeError(
        f"CAP_KILL is missing: not permitted to signal process {container.init_host_pid}, the"
        f" init of {container.label}",
        hint="run zomtrace as root, or add CAP_KILL",
    )


def _run_kill(container: Container, pidfd: int, signo: int) -> None:
    _run(_kill_command(container, signo), container, pidfd)


def _run(command: list[str], container: Container, pidfd: int) -> None:
    by_hand = "or stop the container with the tool that started it"
    try:
        program = find_program(command[0])
    except ProgramRefusedError as error:
        raise RuntimeUnreachableError(
            f"cannot stop {container.label}: zomtrace does not run {command[0]} as root: {error}",
            hint=f"make it writable only by root, {by_hand}",
        ) from error
    if program is None:
        raise RuntimeUnreachableError(
            f"cannot stop {container.label}: {command[0]} was not found in {':'.join(DIRECTORIES)}",
            hint=f"install {command[0]} there, {by_hand}",
        )
    done = subprocess.run(
        [program, *command[1:]],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
        env=clean_environment(), cwd="/",
    )  # fmt: skip
    # A refusal because it ended by itself meanwhile is what was wanted.
    if done.returncode and not _is_gone(pidfd, 0):
        lines = done.stderr.strip().splitlines()
        raise UnavailableError(
            f"{command[0]} failed to stop {container.label}: "
            f"{lines[-1][:_SHOWN] if lines else f'exit status {done.returncode}'}"
        )


def _is_gone(pidfd: int, within_s: float) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(math.ceil(min(within_s, _LONGEST_WAIT_S) * 1000)))


def _has_program(name: str) -> bool:
    try:
        return find_program(name) is not None
    except ProgramRefusedError:
        return False


def _option(name: str, seconds: float | None) -> list[str]:
    return [] if seconds is None else [name, str(math.ceil(seconds))]
