"""What is read of a member of a stop: real processes, each in a state of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.support.waiting import wait_for
from tracer.model.identity import ProcessKey
from tracer.procfs.member import Member, read_descendants, read_member
from tracer.procfs.process import read_status


@contextmanager
def running(code: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", f"{code}; print('ready', flush=True); import time; time.sleep(60)"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()
            process.wait()


def read(pid: int, is_so: Callable[[Member], bool] = lambda _: True) -> Member:
    status = read_status(pid)
    assert status is not None
    found: list[Member] = []

    def look() -> bool:
        member = read_member(status.key, signal.SIGTERM, with_threads=True)
        found.extend([member] if member is not None and is_so(member) else [])
        return bool(found)

    wait_for(look, "a reading")
    return found[-1]


def test_what_it_does_about_the_signal() -> None:
    with running("import signal; signal.signal(15, signal.SIG_IGN)") as process:
        member = read(process.pid)
    assert (member.is_ignored, member.is_caught, member.is_pending) == (True, False, False)
    with running("import signal; signal.pthread_sigmask(0, {15})") as process:
        process.send_signal(signal.SIGTERM)
        member = read(process.pid)
    assert (member.is_ignored, member.is_blocked, member.is_pending) == (False, True, True)


def test_where_its_threads_are() -> None:
    with running(
        "import threading, time; threading.Thread(target=time.sleep, args=(60,)).start()"
    ) as (process):
        # A thread that is on a processor has no system call to show.
        member = read(
            process.pid,
            lambda one: len(one.threads) == 2 and all(thread.syscall for thread in one.threads),
        )
    assert member.thread_count == 2
    assert {thread.syscall for thread in member.threads} <= {"clock_nanosleep", "select", "futex"}
    assert not any(thread.is_killed for thread in member.threads)
    assert member.is_waiting is False
    assert member.exe is not None
    assert member.exe.startswith("python3")


def test_who_waits_for_a_child_and_whose_child_that_is() -> None:
    script = "sleep 60; :"
    with subprocess.Popen(["sh", "-c", script]) as process:
        try:
            wait_for(lambda: len(read_descendants(process.pid, 10)) == 1, "the child")
            member = read(process.pid, lambda one: one.is_waiting is True)
            (child,) = read_descendants(process.pid, 10)
            assert read(child).parent_host_pid == process.pid
            assert read(child, lambda one: one.exe != member.exe).exe == "sleep"
        finally:
            subprocess.run(["pkill", "-P", str(process.pid)], check=False)
            process.kill()


def test_another_process_of_the_same_number_is_not_read() -> None:
    with running("pass") as process:
        stranger = ProcessKey(process.pid, time.clock_gettime_ns(time.CLOCK_BOOTTIME) + 10**10)
        assert read_member(stranger, signal.SIGTERM, with_threads=True) is None
