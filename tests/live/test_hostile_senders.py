"""Who kills a container under a runtime's name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.containers import WEB_ID
from tests.support.require import require_program
from tests.support.strangers import MALLORY, PrivateHost
from tests.support.zomtrace_process import Result

pytestmark = pytest.mark.root
RUNC = Path(f"/run/user/{MALLORY}/bin/runc")


@pytest.fixture
def host() -> Iterator[PrivateHost]:
    with PrivateHost() as host:
        host.add_user()
        host.as_user(f"mkdir bin && cp {require_program('kill', 'kill')} {RUNC}")
        yield host


def killed(host: PrivateHost, name: str, init: int, *, by_user: bool) -> Result:
    """A trace in which a program called runc kills a container's init."""
    with host.start_zomtrace("-c", name) as trace:
        trace.wait_attached()
        if by_user:
            host.as_user(f"{RUNC} -KILL {init}")
        else:
            host.as_root(RUNC, "-KILL", str(init))
        return trace.finish()


@pytest.mark.parametrize(("by_user", "cause"), [(True, "kill"), (False, "runtime_kill")])
def test_a_user_who_may_signal_roots_container_is_not_its_runtime(
    host: PrivateHost, by_user: bool, cause: str
) -> None:
    init = host.container_of_root(runs_as=MALLORY)
    host.root_knows(WEB_ID, init)
    result = killed(host, WEB_ID, init, by_user=by_user)
    assert result.stop["kill_sender_comm"] == "runc"
    assert result.process(host_pid=init)["cause"] == cause


def test_a_users_own_runtime_is_one(host: PrivateHost) -> None:
    init = host.container_of()
    host.user_knows("web", init)
    result = killed(host, "web", init, by_user=True)
    assert result.process(host_pid=init)["cause"] == "runtime_kill"
