"""Containers whose init is gone, is another process by now, or does not answer."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.containers import WEB_ID, a_containerd_task, a_runc_state, oci_only, start_ticks
from tracer.containers.init_process import InitProcess, open_init
from tracer.containers.namespaces import resolve_pidns
from tracer.containers.paths import OciRoot, RuntimePaths
from tracer.containers.resolve import resolve_containers, running_containers
from tracer.errors import TargetNotFoundError
from tracer.procfs.patience import NoAnswerError


def test_a_container_whose_init_is_gone_exists_but_is_stopped(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as process:
        a_runc_state(tmp_path, "web", process.pid)
    with pytest.raises(TargetNotFoundError, match=r"web .* exists but is stopped"):
        resolve_containers(["web"], oci_only(tmp_path))


def test_an_init_whose_pid_was_reused_is_not_taken_for_the_container(
    tmp_path: Path, init: int
) -> None:
    a_runc_state(tmp_path, "web", init, ticks=start_ticks(init) - 1)
    with pytest.raises(TargetNotFoundError, match="exists but is stopped"):
        resolve_containers(["web"], oci_only(tmp_path))


def test_a_task_whose_pid_is_another_process_is_refused(tmp_path: Path, init: int) -> None:
    # No exact start is known of it, and its cgroup does not carry the id.
    task = a_containerd_task(tmp_path, WEB_ID, init)
    with pytest.raises(TargetNotFoundError, match=r"that is .*, a different one"):
        resolve_containers([WEB_ID], RuntimePaths(containerds=(task,)))


def test_an_init_may_vanish_at_every_single_step(
    tmp_path: Path, init: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = oci_only(a_runc_state(tmp_path, "web", init))
    steps = 0
    real = {name: getattr(os, name) for name in ("open", "readlink")}

    def vanish_at(step: int) -> None:
        def wrap(name: str) -> Any:
            def call(path: Any, *args: Any, **kwargs: Any) -> Any:
                nonlocal steps
                beside = kwargs.get("dir_fd")
                where = "" if beside is None else real["readlink"](f"/proc/self/fd/{beside}")
                if f"/proc/{init}" in {path, where}:
                    steps += 1
                    if steps == step:
                        raise ProcessLookupError(3, "No such process")
                return real[name](path, *args, **kwargs)

            return call

        for name in real:
            monkeypatch.setattr(os, name, wrap(name))

    outcomes = []
    for step in range(1, 100):
        steps = 0
        vanish_at(step)
        try:
            resolve_containers(["web"], paths)
        except TargetNotFoundError as error:
            outcomes.append(error.message)
        else:
            break
    monkeypatch.undo()
    assert len(outcomes) >= 6
    assert set(outcomes) == {
        "container web (runc) exists but is stopped",
        "container web (runc) exited while it was being looked up",
    }


def _no_answer(_: InitProcess) -> int:
    raise NoAnswerError("it does not respond")


def test_an_init_that_does_not_answer_is_not_reported_gone(
    tmp_path: Path, init: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_runc_state(tmp_path, WEB_ID, init)
    (container,) = resolve_containers([WEB_ID], RuntimePaths(oci_roots=(OciRoot(tmp_path),)))
    os.close(open_init(container))
    monkeypatch.setattr(InitProcess, "pidns_inum", _no_answer)
    with pytest.raises(TargetNotFoundError, match="/proc does not respond"):
        open_init(container)


def test_an_init_whose_cgroup_is_deeper_than_a_path_may_be_long_keeps_none_from_being_found(
    tmp_path: Path, init: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older kernels refuse to tell it; 6.18 cuts it."""
    a_runc_state(tmp_path, "web", init)
    paths = RuntimePaths(oci_roots=(OciRoot(tmp_path),))
    inum = (Path("/proc") / str(init) / "ns/pid").stat().st_ino
    read_now = InitProcess._read_now

    def refuse(self: InitProcess, name: str) -> bytes:
        if name == "cgroup":
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        return read_now(self, name)

    monkeypatch.setattr(InitProcess, "_read_now", refuse)
    (found,) = running_containers(paths)
    assert (found.name, found.pidns_inum, found.cgroup_path) == ("web", inum, None)
    assert resolve_containers(["web"], paths) == (found,)


def test_a_namespace_is_not_denied_while_processes_do_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(TargetNotFoundError, match="no process is in PID namespace 1"):
        resolve_pidns(1)
    monkeypatch.setattr(InitProcess, "pidns_inum", _no_answer)
    with pytest.raises(TargetNotFoundError, match="cannot tell whether PID namespace 1 exists"):
        resolve_pidns(1)
