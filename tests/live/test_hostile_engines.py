"""An engine that answers wrong, without an end or not at all: one line, in time, in bounds.

It listens at /run/docker.sock, root's own, in a mount namespace where nothing else of
the machine's /run is.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import fake_engine
from tests.support.dockerd import IMAGE, Dockerd
from tests.support.runc import Runc
from tests.support.waiting import PATIENCE, wait_for
from tests.support.zomtrace_process import Zomtrace, run_zomtrace, zomtrace_command

pytestmark = pytest.mark.root

_MOST_KB = 100_000
_MOST_S = 6.0 * PATIENCE
"""Two seconds are promised, on a machine that does nothing else."""
_ENDS_S = 5.0 * PATIENCE
"""One second is."""
_LOOKUP = (
    *fake_engine.ANYTHING,
    *fake_engine.VERSIONS,
    *fake_engine.LISTINGS,
    *fake_engine.INSPECTS,
)


@dataclass(frozen=True)
class Place:
    """A mount namespace with a /run of its own, and a process that is no container.

    Attributes:
        holder: Whose mount namespace it is.
        victim: The init of a PID namespace.
    """

    holder: int
    victim: int

    @property
    def enter(self) -> list[str]:
        """The argv prefix that runs something in there."""
        return ["nsenter", f"--mount=/proc/{self.holder}/ns/mnt"]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """See :class:`Place`."""
    script = "mount -t tmpfs tmpfs /run && echo ready && exec sleep infinity"
    with (
        subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
            stdout=subprocess.PIPE,
        ) as holder,
        subprocess.Popen(["unshare", "-p", "-f", "--kill-child", "sleep", "infinity"]) as outside,
    ):
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"ready\n"
            children = Path(f"/proc/{outside.pid}/task/{outside.pid}/children")
            victim = int(wait_for(lambda: children.read_text().strip(), "the victim is there"))
            wait_for(lambda: Path(f"/proc/{victim}/comm").read_text() == "sleep\n", "it is itself")
            # To compile takes more memory than is measured here.
            pidns = str(Path(f"/proc/{victim}/ns/pid").readlink())
            for target in (["--pidns", pidns], ["--all"]):
                run_zomtrace(*target, "-d", "0.1")
            yield Place(holder.pid, victim)
        finally:
            holder.kill()
            outside.kill()


@contextmanager
def listening(place: Place, kind: str) -> Iterator[None]:
    """Have an engine of some kind listen in there."""
    subprocess.run([*place.enter, "rm", "-f", "/run/docker.sock"], check=True)
    with subprocess.Popen(
        [*place.enter, sys.executable, fake_engine.__file__, "/run/docker.sock", kind,
         str(place.victim)],
        stdout=subprocess.PIPE,
    ) as engine:  # fmt: skip
        try:
            assert engine.stdout is not None
            assert engine.stdout.readline() == b"listening\n"
            yield
        finally:
            engine.kill()


def environment() -> dict[str, str]:
    """Ours, but for another engine."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}


@dataclass(frozen=True)
class Ended:
    """How a run ended, and what it took."""

    status: int
    said: str
    seconds: float
    most_kb: int


_MEASURING = """
import os, sys
pid = os.fork()
if not pid:
    os.execvp(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A small process to be forked from: what its parent took at the most counts as a child's own."""


def run_measured(place: Place, *args: str) -> Ended:
    """Run zomtrace in there."""
    began_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-IS", "-c", _MEASURING, *place.enter, *zomtrace_command(), *args],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=environment(), check=False,
    )  # fmt: skip
    took_s = time.monotonic() - began_s
    said, _, most_kb = done.stdout.decode().removesuffix("\n").rpartition("\n")
    return Ended(done.returncode, f"{said}\n" if said else "", took_s, int(most_kb))


def check_bounds(ended: Ended) -> None:
    """What holds whatever an engine answers."""
    assert "Traceback" not in ended.said
    assert "Exception" not in ended.said
    assert "\x1b" not in ended.said
    assert ended.seconds < _MOST_S, ended
    assert ended.most_kb < _MOST_KB, ended


@pytest.mark.parametrize("kind", _LOOKUP)
def test_what_an_engine_answers_to_a_look_up_ends_in_one_line(place: Place, kind: str) -> None:
    with listening(place, kind):
        ended = run_measured(place, "-c", "web", "-d", "0.1")
    check_bounds(ended)
    assert ended.status == 69
    first, *hints = ended.said.splitlines()
    assert first.startswith("zomtrace: ")
    assert "/run/docker.sock" in first
    assert len(hints) <= 1


@pytest.mark.parametrize("kind", [*fake_engine.EVENTS, fake_engine.GOOD])
def test_what_an_engine_answers_at_the_end_of_a_trace_is_a_line_of_its_report(
    place: Place, kind: str
) -> None:
    with listening(place, kind):
        ended = run_measured(place, "-c", "web", "-d", "0.1")
    check_bounds(ended)
    assert ended.status == 0
    is_good = kind in (fake_engine.GOOD, "events-secret")
    assert ended.said.count("docker could not be queried") == (not is_good)


def test_an_engines_events_hold_no_secret(place: Place) -> None:
    with listening(place, "events-secret"):
        result = run_zomtrace(
            "-c", "web", "-d", "0.1", command=[*place.enter, *zomtrace_command()],
            env=environment(),
        )  # fmt: skip
    told = [line["values"]["detail"] for line in result.of_kind("observation", source="docker")]
    assert told[0] == "mysql -uroot -p*** shop"
    assert len(told) == 3
    assert "hunter2" not in result.stdout.decode()


@pytest.mark.parametrize("kind", ["hang", "endless", "list-numbers"])
@pytest.mark.parametrize("args", [("zombies",), ("--all", "-d", "0.1")])
def test_who_asks_for_no_container_is_not_held_up(
    place: Place, kind: str, args: tuple[str, ...]
) -> None:
    with listening(place, kind):
        ended = run_measured(place, *args)
    check_bounds(ended)
    assert ended.status == 0


@pytest.mark.parametrize("kind", [*_LOOKUP[:9], "list-many"])
def test_a_container_of_another_runtime_is_found_all_the_same(
    place: Place, runc: Runc, kind: str
) -> None:
    started = runc.run(["sleep", "1000"])
    copied = Path(f"/proc/{place.holder}/root/run/runc") / started.id
    shutil.copytree(runc.root / started.id, copied)
    try:
        with listening(place, kind):
            ended = run_measured(place, "-c", started.id, "-d", "0.1")
    finally:
        shutil.rmtree(copied)
    check_bounds(ended)
    assert ended.status == 0


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("kind", ["events-hang", "events-endless"])
def test_a_signal_ends_a_trace_whose_engine_does_not_answer_any_more(
    place: Place, kind: str, signo: signal.Signals
) -> None:
    with (
        listening(place, kind),
        Zomtrace(
            "-c", "web", command=[*place.enter, *zomtrace_command()], env=environment()
        ) as trace,
    ):  # fmt: skip
        trace.wait_attached().interrupt(signo)
        trace.finish(status=0, within_s=_ENDS_S)


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", [("-c", "web"), ("zombies",), ("stop", "-c", "web")])
def test_a_signal_ends_what_waits_for_an_engine(
    place: Place, command: tuple[str, ...], signo: signal.Signals
) -> None:
    with (
        listening(place, "hang"),
        Zomtrace(
            *command, command=[*place.enter, *zomtrace_command()], env=environment(),
            json_lines=False,
        ) as trace,
    ):  # fmt: skip
        wait_for(lambda: _threads(trace.process.pid) > 1, "it asks the engine")
        result = trace.interrupt(signo).finish(status=-signo, within_s=_ENDS_S)
    assert result.stderr == f"zomtrace: terminated by {signo.name} before it had finished\n"


def _threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def test_dockers_own_hanging_costs_a_trace_one_line(docker: Dockerd) -> None:
    docker.run("--name", "web", IMAGE, "sleep", "1000")
    with Zomtrace("-c", "web", env=docker.env) as trace:
        trace.wait_attached()
        with docker.stopped():
            result = trace.interrupt().finish(status=0, within_s=_ENDS_S)
    (said,) = result.of_kind("observation", source="docker")
    assert "did not answer: timed out" in said["values"]["error"]
    assert result.report["lost"] == {}


def test_dockers_own_restart_costs_a_trace_one_line(docker: Dockerd) -> None:
    docker.run("--name", "web", IMAGE, "sh", "-c", "trap 'exit 5' USR1; while :; do :; done")
    with Zomtrace("-c", "web", env=docker.env) as trace:
        trace.wait_attached()
        docker.restart()
        docker.cli("kill", "--signal", "USR1", "web")
        result = trace.finish(status=0)
    told = [line["values"] for line in result.of_kind("observation", source="docker")]
    (said,) = [values["error"] for values in told if "error" in values]
    assert "was restarted during the trace" in said
    assert "die" in [values.get("action") for values in told]
    assert result.stop["init_exit_code"] == 5
