"""Real programs in containers that see the host's files, and what is true of each stop."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from glob import glob
from pathlib import Path

from tests.support.dockerd import Dockerd
from tests.support.require import require, require_program
from tests.support.waiting import wait_for
from tests.support.zomtrace_process import Result, Zomtrace, run_zomtrace, signal_number

_VENV = Path(__file__).parents[2] / "build/programs"
_SHARED = ("bin", "etc", "lib", "lib32", "lib64", "opt", "sbin", "usr")
_WRITABLE = ("run", "tmp", "var/log", "var/lib")
_EMPTY = ("dev", "home", "proc", "root", "sys", "var/spool", *_WRITABLE)
_CLIENT = """
import socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.sendall(bytes.fromhex(sys.argv[2]))
print("connected", flush=True)
sys.stdin.read()
"""
WORK = "/work"
"""Where a case's files are, inside."""


@dataclass(frozen=True)
class Program:
    """A real program, how it is stopped, and what is true of it.

    Attributes:
        name: Of the case.
        command: What is PID 1. ``{venv}`` stands for the programs from PyPI.
        ready: What its log says when it can be stopped (a regular expression), or the
            port that it listens on.
        truth: What its documentation says happens, in a sentence.
        status: Its exit code, as the engine has it from wait().
        headline: What zomtrace's first sentence has to say (a regular expression).
        log: What its own log says of the stop (regular expressions).
        codes: The findings there have to be, errors and warnings: all of them.
        infos: Those of severity info: all of them.
        says: What the whole report has to say (regular expressions, on one line).
        never: What it must not say.
        needs: The programs it takes that not every machine has.
        signal: The stop signal.
        grace_s: Seconds from it to SIGKILL.
        files: Name -> text, put into the work directory.
        options: Of ``docker run``.
        prepare: Shell commands that run before it, in the same process.
        port: Where a client connects before the stop, and stays.
        sends: What that client sends.
        until: What the program's log has to say before the stop.
    """

    name: str
    command: Sequence[str]
    ready: str | int
    truth: str
    status: int
    headline: str
    log: Sequence[str] = ()
    codes: Sequence[str] = ()
    infos: Sequence[str] = ()
    says: Sequence[str] = ()
    never: Sequence[str] = ()
    needs: Sequence[str] = ()
    signal: str = "SIGTERM"
    grace_s: int = 8
    files: Mapping[str, str] = field(default_factory=dict)
    options: Sequence[str] = ()
    prepare: str = ""
    port: int = 0
    sends: bytes = b""
    until: str = ""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Stopped:
    """A container that was traced and stopped.

    Attributes:
        result: What zomtrace said, as JSON.
        text: The same as text, from the capture.
        why: What ``zomtrace why`` says of PID 1.
        log: What the program wrote.
        status: Its exit code, from the engine.
    """

    result: Result
    text: str
    why: str
    log: str
    status: int

    @property
    def headline(self) -> str:
        """The first sentences."""
        return str(self.result.report["headline"])


class Programs:
    """Runs programs of the host in containers of the test's engine."""

    def __init__(self, docker: Dockerd, work: Path) -> None:
        self.docker = docker
        self.work = work
        work.chmod(0o777)

    def start(self, program: Program) -> str:
        """Start one and wait until it is ready: its container."""
        _require(program)
        for name, text in program.files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("{venv}", str(_VENV)))
            path.chmod(0o755)
        command = [word.replace("{venv}", str(_VENV)) for word in program.command]
        if program.prepare:
            command = ["/bin/sh", "-c", f'{program.prepare}\nexec "$@"', "sh", *command]
        self.docker.cli(
            "run", "-d", "--network", "none", "--name", "web", *_mounts(self.work),
            "--stop-signal", program.signal, "--stop-timeout", str(program.grace_s),
            "--cap-add", "SYS_NICE", *program.options, "zt-host", *command,
        )  # fmt: skip
        pid = self.docker.pid("web")
        ready = partial(_listens, pid, program.ready) if isinstance(program.ready, int) else (
            lambda: re.search(str(program.ready), self.log()))  # fmt: skip
        wait_for(lambda: ready() or self._ended(), f"{program.name} is ready", within_s=20)
        assert not self._ended(), self.log()
        return "web"

    def log(self) -> str:
        """What the program wrote to its outputs and to files called ``*.log``."""
        done = subprocess.run(
            ["docker", "logs", "web"], env=self.docker.env, capture_output=True, check=True
        )
        texts = [done.stdout, done.stderr]
        texts += [path.read_bytes() for path in sorted(self.work.glob("*.log"))]
        return b"\n".join(texts).decode(errors="replace")

    def _ended(self) -> bool:
        return self.docker.pid("web") == 0

    def stop(self, program: Program) -> Stopped:
        """Start a program, trace it, have the engine stop it."""
        self.start(program)
        capture = self.work / "capture.zt"
        options = ("-c", "web", "-w", capture, "--min-zombie", "600")
        with ExitStack() as stack:
            trace = stack.enter_context(Zomtrace(*options, env=self.docker.env))
            trace.wait_attached()
            if program.port:
                stack.enter_context(self._client(program.port, program.sends))
            wait_for(lambda: re.search(program.until, self.log()), program.until, within_s=20)
            self.docker.cli("stop", "web")
            result = trace.finish()
        status = int(self.docker.cli("inspect", "--format", "{{.State.ExitCode}}", "web"))
        text = run_zomtrace("report", capture, json_lines=False).stdout.decode()
        why = run_zomtrace("why", capture, json_lines=False, status=None).stdout.decode()
        return Stopped(result, text, why, self.log(), status)

    @contextmanager
    def _client(self, port: int, sends: bytes) -> Iterator[None]:
        """Connect from outside, in the container's network, and stay."""
        pid = self.docker.pid("web")
        with subprocess.Popen(
            ["nsenter", f"--net=/proc/{pid}/ns/net", "/usr/bin/python3", "-I", "-S", "-c",
             _CLIENT, str(port), sends.hex()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as client:  # fmt: skip
            try:
                assert client.stdout is not None
                assert client.stdout.readline() == "connected\n"
                yield
            finally:
                client.kill()


def _require(program: Program) -> None:
    """Skip what needs installed programs, unless they are asked for."""
    wanted = {"programs", "all"} & set(os.environ.get("ZOMTRACE_REQUIRE", "").split(","))
    require("programs", bool(wanted) or not program.needs, "scripts/test --programs runs this")
    for needed in program.needs:
        path = needed.replace("{venv}", str(_VENV))
        if path.startswith("/"):
            require("programs", bool(glob(path)), f"there is no {path} here")
        else:
            require_program("programs", path)


def check(program: Program, stopped: Stopped) -> None:
    """Compare what zomtrace said with what is true."""
    for line in program.log:
        assert re.search(line, stopped.log), stopped.log
    assert stopped.status == program.status, stopped.log
    report, stop = stopped.result.report, stopped.result.stop
    assert report["complete"] is True, report["lost"]
    ended = stop["init_exit_code"]
    if ended is None:
        ended = 128 + signal_number(stop["init_term_signal"])
    assert ended == stopped.status
    assert (stop["stop_signal"], stop["complete"]) == (program.signal, True)
    assert stop["escalated"] is ("ZT103" in program.codes)
    found = {
        is_info: sorted(
            one["code"] for one in report["findings"] if (one["severity"] == "info") is is_info
        )
        for is_info in (False, True)
    }
    assert found == {False: sorted(program.codes), True: sorted(program.infos)}, stopped.text
    headline = " ".join(stopped.headline.split())
    assert re.search(program.headline, headline), headline
    said = [" ".join(text.split()) for text in (stopped.text, stopped.why)]
    assert [headline in text for text in said] == [True, True]
    whole = " ".join(said)
    for words in program.says:
        assert re.search(words, whole), (words, stopped.text, stopped.why)
    for words in program.never:
        assert not re.search(words, whole), (words, stopped.text, stopped.why)


def _listens(pid: int, port: int) -> bool:
    """Whether anything in a process's network listens on a TCP port."""
    tables = (Path(f"/proc/{pid}/net", name).read_text() for name in ("tcp", "tcp6"))
    return any(re.search(rf":{port:04X} \S+ 0A ", table) for table in tables)


def _mounts(work: Path) -> list[str]:
    """The options that give a container the host's programs, and nothing to write to."""
    shared = [f"/{name}" for name in _SHARED if Path("/", name).is_dir()
              and not Path("/", name).is_symlink()]  # fmt: skip
    if _VENV.exists():
        shared.append(str(_VENV))
    options = [f"--volume={path}:{path}:ro" for path in shared]
    options += [f"--tmpfs=/{name}:exec,mode=1777" for name in _WRITABLE]
    return [*options, f"--volume={work}:{WORK}", "--workdir", WORK]


def import_host(docker: Dockerd, where: Path) -> None:
    """Make the image ``zt-host``: empty directories, and links as the host has them."""
    for name in (*_EMPTY, *_SHARED, WORK.lstrip("/")):
        of_host = Path("/", name)
        if of_host.is_symlink():
            (where / name).symlink_to(of_host.readlink())
        else:
            (where / name).mkdir(parents=True, exist_ok=True)
    (where / "var/run").symlink_to("/run")
    for name in _WRITABLE:
        # A tmpfs takes over the mode of what is below it.
        (where / name).chmod(0o1777)
    archive = subprocess.run(["tar", "-C", where, "-c", "."], capture_output=True, check=True)
    subprocess.run(["docker", "import", "-", "zt-host"], env=docker.env,
                   input=archive.stdout, capture_output=True, check=True)  # fmt: skip
