"""An init is not said to be gone because /proc could not be read at once."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support.events import WEB
from tracer.errors import TargetNotFoundError
from tracer.live.init_watch import InitWatch
from tracer.model.target import Container
from tracer.procfs import process as procfs
from tracer.procfs.status import ProcStatus


@pytest.fixture
def container() -> Iterator[Container]:
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            status = procfs.read_status(process.pid)
            assert status is not None
            yield replace(
                WEB, init_host_pid=process.pid, init_start_boot_ns=status.key.start_boot_ns
            )
        finally:
            process.kill()
            process.wait()


def test_an_init_that_is_read_late_is_still_there(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[ProcStatus | None] = [None, None, procfs.read_status(container.init_host_pid)]
    monkeypatch.setattr(procfs, "read_status", lambda _: reads.pop(0))
    with InitWatch([container]):
        assert reads == []


def test_one_that_is_never_read_is_not_called_gone(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(procfs, "read_status", lambda _: None)
    monkeypatch.setattr(procfs, "_PATIENCE_S", 0.0)
    with pytest.raises(TargetNotFoundError, match="could not be read"):
        InitWatch([container])


def test_another_process_of_that_number_is_not_the_init(container: Container) -> None:
    assert container.init_start_boot_ns is not None
    other = replace(container, init_start_boot_ns=container.init_start_boot_ns + 10**12)
    with pytest.raises(TargetNotFoundError, match="exited before the trace could begin"):
        InitWatch([other])
