"""PID namespaces by their number, with or without a runtime."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.containers import pidns_of, start_ns
from tests.support.waiting import wait_for
from tracer.containers.namespaces import parse_pidns, resolve_pidns
from tracer.containers.stop import stop_container
from tracer.errors import TargetNotFoundError, UnavailableError, UsageError

pytestmark = pytest.mark.root


@pytest.fixture
def unshared() -> Iterator[int]:
    """The init of a PID namespace that no runtime knows."""
    with subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", "sleep", "1000"]
    ) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        yield int(wait_for(lambda: children.read_text().split(), "unshare forks")[0])
        process.kill()


def test_a_pid_namespace_by_its_number(unshared: int) -> None:
    inum = pidns_of(unshared)
    container = resolve_pidns(inum)
    assert (container.init_host_pid, container.pidns_inum) == (unshared, inum)
    assert container.has_own_pidns
    assert container.init_start_boot_ns == start_ns(unshared)
    text = str(Path(f"/proc/{unshared}/ns/pid").readlink())
    assert parse_pidns(text) == parse_pidns(str(inum)) == inum
    with pytest.raises(UnavailableError, match="no runtime that can stop it"):
        stop_container(container, None)


def test_a_pid_namespace_that_no_one_is_in_is_not_found(unshared: int) -> None:
    with pytest.raises(TargetNotFoundError) as caught:
        resolve_pidns(4_294_967_295)
    # Five are listed; ours may be further down on a busy host.
    assert (caught.value.hint or "").startswith("existing PID namespaces: 40265")


@pytest.mark.parametrize("text", ["", "pid", "pid:[]", "pid:[1", "1]", "net:[1]", "-1", "1" * 20])
def test_what_is_no_namespace_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_pidns(text)
