"""Who held a stop up, with real programs: the one that did is named, and no other."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.at_rest import wait_at_rest
from tests.support.require import require_program
from tests.support.zomtrace_process import Result, Zomtrace

pytestmark = pytest.mark.live

PYTHON = "/usr/bin/python3"
DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
SLOW = (
    "import signal, sys, time\n"
    "signal.signal(15, lambda *_: (time.sleep(2), sys.exit(0)))\n"
    "while True: time.sleep(1)"
)
FORWARD = "trap 'kill -TERM $c' TERM; {child} & c=$!; wait $c"
PREFORK = """
import os, signal
read_end, write_end = os.pipe()
def work():
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.close(write_end)
    os.read(read_end, 1)
    os._exit(0)
workers = [os.fork() or work() for _ in range(2)]
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
while not asked:
    signal.pause()
os.close(write_end)
for worker in workers:
    os.waitpid(worker, 0)
"""
TRACKER = """
import multiprocessing, signal, sys, time
def work():
    time.sleep(60)
if __name__ == "__main__":
    worker = multiprocessing.get_context("spawn").Process(target=work)
    worker.start()
    def end(*_):
        worker.terminate()
        worker.join()
        sys.exit(0)
    signal.signal(signal.SIGTERM, end)
    while True:
        time.sleep(1)
"""
DAEMON = """
import os, signal, time
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
while True:
    time.sleep(1)
"""
STUCK = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <unistd.h>
static const char *path;
static void *writer(void *unused) {
    (void)unused;
    prctl(PR_SET_NAME, "writer");
    open(path, O_CREAT | O_WRONLY, 0644);
    for (;;) pause();
}
int main(int argc, char **argv) {
    pthread_t thread;
    path = argv[argc - 1];
    pthread_create(&thread, 0, writer, 0);
    for (;;) pause();
}
"""


def stopped(*argv: str | Path, grace: float = 2.0, init: bool = False,
            signal: str = "TERM") -> Result:  # fmt: skip
    """Run something, and stop it once it has started up: its handlers are there."""
    options = ["--init"] if init else []
    with Zomtrace("run", *options, "--grace", str(grace), "--stop-signal", signal, "--",
                  *argv) as trace:  # fmt: skip
        trace.wait_event("exec")
        wait_at_rest(trace.process.pid)
        return trace.stop_tracing()


def a_script(directory: Path, text: str, name: str = "entry") -> Path:
    """An executable script, which is what its first line says."""
    path = directory / name
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def tini() -> Path:
    return require_program("tini", "tini")


def test_an_init_is_not_blamed_for_a_child_that_ignores_the_signal() -> None:
    result = stopped(PYTHON, "-c", DEAF, init=True)
    assert result.codes == ["ZT103"]
    blame = result.finding("ZT103")
    deaf = result.process(ns_pid=2)["host_pid"]
    assert blame["host_pids"] == [result.stop["init_host_pid"], deaf]
    assert f"python3 (pid 2, host {deaf}): it was sent SIGTERM by" in blame["detail"]
    assert "and ignores it" in blame["detail"]
    assert "A longer grace period does not help" in blame["advice"]
    (holder,) = result.stop["holders"]
    assert (holder["host_pid"], holder["reason"], holder["why"]) == (
        deaf, "ignored", "ignores SIGTERM",
    )  # fmt: skip
    assert holder["waiter_host_pids"] == [result.stop["init_host_pid"]]


@pytest.mark.parametrize("init", [False, True])
def test_a_trap_that_waits_for_the_foreground_child(init: bool) -> None:
    result = stopped("bash", "-c", 'trap "exit 0" TERM; sleep 1000; :', init=init)
    blame = result.finding("ZT103")
    assert "sleep was not sent SIGTERM" in blame["title"]
    assert "A shell runs its trap only after its foreground child has ended" in blame["detail"]
    assert "raise the grace" not in blame["advice"]
    # The advice, followed: nothing is left to say.
    fixed = 'sleep 1000 & c=$!; trap "kill -TERM $c" TERM; wait $c; wait $c'
    assert stopped("bash", "-c", fixed, init=init).codes == []


@pytest.mark.parametrize("init", [False, True])
def test_a_stop_signal_whose_default_action_is_to_be_ignored(init: bool) -> None:
    result = stopped("sleep", "100", init=init, signal="WINCH", grace=1.5)
    for finding in result.report["findings"]:
        assert "STOPSIGNAL SIGTERM" in finding["advice"]
        assert "docker run --init" not in finding["advice"]
    assert "ZT103" in result.codes


def test_a_script_by_its_first_line_is_a_shell(tmp_path: Path) -> None:
    script = a_script(tmp_path, "#!/bin/sh\nsleep 100\n:\n")
    advice = stopped(script, grace=1.0).finding("ZT101")["advice"]
    assert "`exec`" in advice
    assert "trap" in advice
    assert "handler in entry" not in advice
    # With the init alone the child is cut off; with exec and the init it ends.
    assert stopped(script, grace=1.0, init=True).codes == ["ZT102"]
    a_script(tmp_path, "#!/bin/sh\nexec sleep 100\n")
    assert stopped(script, grace=1.0, init=True).codes == []


def test_a_program_of_its_own_gets_no_advice_for_shells() -> None:
    advice = stopped("sleep", "100", grace=1.0).finding("ZT101")["advice"]
    assert "docker run --init" in advice
    assert "`exec`" not in advice
    assert stopped("sleep", "100", grace=1.0, init=True).codes == []


def test_signalled_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    line = FORWARD.format(child=f"{PYTHON} {tmp_path}/slow.py")
    result = stopped("sh", "-c", line, grace=10)
    assert result.codes == ["ZT108"]
    blame = result.finding("ZT108")
    worker = result.process(comm="python3")["host_pid"]
    assert blame["host_pids"] == [result.stop["init_host_pid"], worker]
    assert "still there" in blame["detail"]
    assert stopped("sh", "-c", f"{line}; wait $c", grace=10).codes == []


def test_a_helper_of_the_handler_did_not_have_to_be_signalled() -> None:
    child = "sh -c 'trap \"sleep 1; exit 0\" TERM; while :; do sleep 3 & wait $!; done'"
    result = stopped("sh", "-c", FORWARD.format(child=child), grace=10)
    assert result.codes == ["ZT108"]
    assert result.finding("ZT108")["host_pids"][0] == result.stop["init_host_pid"]


@pytest.mark.parametrize("init", [False, True])
def test_a_resource_tracker_ignores_the_signal_and_ends_by_its_pipe(
    tmp_path: Path, init: bool
) -> None:
    (tmp_path / "serve.py").write_text(TRACKER)
    result = stopped(PYTHON, tmp_path / "serve.py", grace=10, init=init)
    assert result.codes == []
    assert result.processes(ns_pid=3 if init else 2, cause="pidns_teardown") or init


def test_a_signal_to_the_group_cuts_prefork_workers_off(tini: Path, tmp_path: Path) -> None:
    (tmp_path / "prefork.py").write_text(PREFORK)
    result = stopped(tini, "-g", "--", PYTHON, tmp_path / "prefork.py")
    assert result.codes == ["ZT109"]
    blame = result.finding("ZT109")
    assert blame["severity"] == "warning"
    assert "without -g" in blame["advice"]
    assert stopped(tini, "--", PYTHON, tmp_path / "prefork.py").codes == []


def test_a_group_signal_that_ends_a_foreground_child_is_none(tini: Path) -> None:
    result = stopped(tini, "-g", "--", "bash", "-c", 'trap "exit 0" TERM; sleep 1000; :')
    assert result.codes == []


def test_tini_g_is_no_advice_for_a_daemon(tini: Path, tmp_path: Path) -> None:
    (tmp_path / "daemon.py").write_text(DAEMON)
    line = f"{PYTHON} {tmp_path}/daemon.py; sleep 100"
    advice = stopped(tini, "-g", "--", "sh", "-c", line).finding("ZT102")["advice"]
    assert "in the foreground" in advice
    assert "whole process group" not in advice


@contextmanager
def frozen_file_system(directory: Path) -> Iterator[Path]:
    """An ext4 on a loop device, on which nothing can be opened for writing."""
    image, mount = directory / "image", directory / "mount"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run([require_program("e2fsprogs", "mkfs.ext4"), "-q", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, mount], check=True)
    try:
        subprocess.run(["fsfreeze", "-f", mount], check=True)
        yield mount
    finally:
        subprocess.run(["fsfreeze", "-u", mount], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["umount", mount], check=False)


def test_a_dying_process_whose_thread_cannot_go(tmp_path: Path) -> None:
    source, program = tmp_path / "stuck.c", tmp_path / "stuck"
    source.write_text(STUCK)
    compiler = require_program("gcc", "gcc")
    subprocess.run([compiler, "-static", "-pthread", "-o", program, source], check=True)
    with (
        frozen_file_system(tmp_path) as mount,
        Zomtrace("run", "--init", "--grace", "2", "--", program, mount / "file") as trace,
    ):
        wait_at_rest(trace.process.pid, with_comm="stuck")
        trace.interrupt().wait_event("exit", comm="tini")
        # The teardown hangs by now, and is read once it has for a second.
        trace.wait_line(
            lambda line: (
                line["kind"] == "observation" and line["values"].get("reading") == "holder"
            ),
            "a reading of who holds the teardown up",
        )
        subprocess.run(["fsfreeze", "-u", mount], check=True)
        result = trace.finish()
    assert set(result.codes) == {"ZT103", "ZT107"}
    stuck = result.process(ns_pid=2)["host_pid"]
    for code in ("ZT103", "ZT107"):
        blame = result.finding(code)
        assert stuck in blame["host_pids"]
        assert "already dying of SIGTERM" in blame["detail"]
        assert "its thread writer (tid" in blame["detail"]
        assert "in openat" in blame["detail"]
        assert "No signal ends it" in blame["advice"]


def test_while_a_stop_hangs_a_line_names_the_holder() -> None:
    with Zomtrace("run", "--init", "--grace", "3", "--", PYTHON, "-c", DEAF,
                  json_lines=False) as trace:  # fmt: skip
        wait_at_rest(trace.process.pid, with_comm="python3")
        result = trace.stop_tracing()
    lines = [line for line in result.stdout.decode().splitlines() if "  held up   the" in line]
    assert len(lines) == 2
    assert all("python3 (pid 2, host " in line and "ignores SIGTERM" in line for line in lines)
