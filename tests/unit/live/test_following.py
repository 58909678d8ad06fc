"""A container that is followed and comes back."""

from __future__ import annotations

import select
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from tests.support.events import WEB
from tracer.errors import BpfUnavailableError
from tracer.live.follow import Following
from tracer.live.trace import Trace
from tracer.model.target import Container

NO_PID = (1 << 22) - 1


class FullTrace:
    """A trace whose kernel filter has no room left."""

    def follow(self, fd: int, on_ready: Callable[[], None]) -> None:
        self.fd, self.on_ready = fd, on_ready

    def add_container(self, container: Container) -> bool:
        raise BpfUnavailableError("BPF map zt_pidns cannot be written: too big")


def test_a_container_for_which_there_is_no_room_does_not_end_the_trace() -> None:
    web = replace(WEB, init_host_pid=NO_PID)
    trace, notices = FullTrace(), list[str]()
    with Following((web,), lambda gone: gone, notices.append) as following:
        following.serve(cast(Trace, trace))
        assert select.select([trace.fd], [], [], 60)[0]
        trace.on_ready()
    assert notices == ["web is back, but not traced: BPF map zt_pidns cannot be written: too big"]
