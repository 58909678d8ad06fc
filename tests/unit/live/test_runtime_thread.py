"""A search of container runtimes beside a trace's loop."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from tests.support.events import WEB
from tracer.live.runtime_thread import RuntimeThread

if TYPE_CHECKING:
    from tracer.live.trace import Trace
    from tracer.model.target import Container


class Loop:
    """The part of a trace that a search needs."""

    def __init__(self) -> None:
        self.fd = -1
        self.action: Callable[[], object] = lambda: None

    def follow(self, fd: int, action: Callable[[], object]) -> None:
        self.fd, self.action = fd, action

    def turn(self, timeout_s: float) -> bool:
        ready = bool(select.select([self.fd], [], [], timeout_s)[0])
        if ready:
            self.action()
        return ready


def test_what_a_search_finds_is_handled_in_the_loop() -> None:
    wanted = WEB
    search = RuntimeThread("test", lambda: search.report([wanted]))
    loop = Loop()
    found: list[Container] = []
    threads: list[threading.Thread] = []

    def on_found(container: Container) -> None:
        found.append(container)
        threads.append(threading.current_thread())

    search.start(cast("Trace", loop), on_found)
    assert not loop.turn(0.05)
    search.wake()
    assert loop.turn(60.0)
    search.close()
    assert (found, threads) == ([wanted], [threading.main_thread()])


def test_a_runtime_that_does_not_answer_does_not_delay_the_end() -> None:
    answers, asked = threading.Event(), threading.Event()

    def search_slowly() -> None:
        asked.set()
        answers.wait(60.0)
        search.report([WEB])

    search = RuntimeThread("test", search_slowly)
    loop = Loop()
    search.start(cast("Trace", loop), lambda _: None)
    search.wake()
    assert asked.wait(60.0)
    search.close()
    assert search.is_over
    # Its descriptor stays open, so that no other file gets what it writes.
    os.fstat(loop.fd)
    answers.set()
    assert not loop.turn(0.1)


def test_a_search_that_never_began_leaves_nothing_open() -> None:
    before = set(os.listdir("/proc/self/fd"))
    RuntimeThread("test", lambda: None).close()
    assert set(os.listdir("/proc/self/fd")) <= before


def test_a_wait_within_a_search_ends_with_the_trace() -> None:
    results: list[bool] = []
    began = threading.Event()

    def search_for_long() -> None:
        began.set()
        results.append(search.wait(60.0))

    search = RuntimeThread("test", search_for_long)
    loop = Loop()
    search.start(cast("Trace", loop), lambda _: None)
    search.wake()
    assert began.wait(60.0)
    search.close()
    search._thread.join(60.0)
    assert results == [True]
