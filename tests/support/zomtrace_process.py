"""zomtrace as its users run it: another process, its JSON lines read as they come."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.waiting import PATIENCE

Json = dict[str, Any]

KINDS = frozenset({
    "attached", "process", "fork", "exec", "exit", "reap", "signal", "deliver", "teardown",
    "oom", "fork_failed", "observation", "loss", "report",
})  # fmt: skip
COMMON_KEYS = (
    "kind", "time", "boot_ns", "host_pid", "ns_pid", "start_boot_ns", "comm", "parent_host_pid",
    "pidns_inum", "cgroup_id", "container_id", "container_name",
)  # fmt: skip
STOP_COUNTS = ("sigkilled", "signalled", "exited", "already_zombie", "survived")
_RFC3339_UTC_NS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def zomtrace_command() -> list[str]:
    """The argv prefix that runs the zomtrace under test."""
    beside = Path(sys.executable).parent
    found = shutil.which("zomtrace", path=f"{beside}:{os.environ.get('PATH', '')}")
    assert found is not None, "zomtrace is not installed: run scripts/setup"
    return [found]


@dataclass(frozen=True)
class Result:
    """What one run said.

    Attributes:
        status: Its exit status.
        lines: The JSON objects of stdout, in order.
        stderr: As text.
        stdout: As bytes.
    """

    status: int
    lines: list[Json]
    stderr: str
    stdout: bytes = field(repr=False)

    @property
    def report(self) -> Json:
        """The last line."""
        assert self.lines, self.stderr
        assert self.lines[-1]["kind"] == "report", self.lines[-1]
        return self.lines[-1]

    @property
    def stop(self) -> Json:
        """The one stop there was."""
        (stop,) = self.report["stops"]
        return dict(stop)

    @property
    def codes(self) -> list[str]:
        """The codes of the findings, sorted; one an entry."""
        return sorted(finding["code"] for finding in self.report["findings"])

    def finding(self, code: str) -> Json:
        """The one finding with this code."""
        (found,) = [each for each in self.report["findings"] if each["code"] == code]
        return dict(found)

    def of_kind(self, kind: str, **fields: Any) -> list[Json]:
        """The events of a kind whose fields have these values."""
        return [
            line
            for line in self.lines
            if line["kind"] == kind and all(line[key] == value for key, value in fields.items())
        ]

    def ends(self, **fields: Any) -> list[Json]:
        """The exit lines that stand for a whole, ordinary lifetime."""
        return [
            line for line in self.of_kind("exit", **fields) if line["forked_boot_ns"] is not None
        ]

    def reaps(self, **fields: Any) -> list[Json]:
        """The lines about a release, of an ordinary lifetime or not."""
        return [*self.of_kind("reap", **fields), *self.ends(**fields)]

    def processes(self, **fields: Any) -> list[Json]:
        """The report's processes whose fields have these values."""
        return [
            process
            for process in self.report["processes"]
            if all(process[key] == value for key, value in fields.items())
        ]

    def process(self, **fields: Any) -> Json:
        """The one process whose fields have these values."""
        found = self.processes(**fields)
        assert len(found) == 1, (fields, found)
        return found[0]

    def statuses(self) -> dict[int, int]:
        """Host pid -> raw wait status, as the exit events tell it; the latest counts."""
        return {line["host_pid"]: raw_status(line) for line in self.of_kind("exit")}

    def fates(self, **fields: Any) -> Counter[tuple[str, str | None]]:
        """How many processes ended how: (end, cause) -> number; those counted only, too."""
        fates = Counter((process["end"], process["cause"]) for process in self.processes(**fields))
        if fields in ({}, {"is_init": False}):
            # No init is counted only while its stop is listed.
            for row in self.report["folded"]["processes"]:
                fates[row["end"], row["cause"]] += row["count"]
        return fates


def raw_status(line: Json) -> int:
    """The 16-bit wait status of an exit event or a process of the report."""
    if line["term_signal"] is not None:
        return signal_number(line["term_signal"]) | (0x80 if line["core_dumped"] else 0)
    return int(line["exit_code"]) << 8


def signal_number(name: str) -> int:
    """``SIGKILL`` or ``SIGRTMIN+3`` as a number."""
    if name.startswith("SIGRTMIN"):
        return 34 + int(name.partition("+")[2] or 0)
    return int(signal.Signals[name])


class Zomtrace:
    """One run of ``zomtrace ARGS --json``. Use in ``with``: ends it whatever happens.

    Args:
        *args: The command line, without ``--json``.
        env: Its environment; ours by default.
        command: What to run instead of ``zomtrace``.
        json_lines: False leaves ``--json`` out: stdout is text then.
        holds_contract: Whether :meth:`finish` checks what holds for every run.
    """

    def __init__(
        self,
        *args: str | Path,
        env: Mapping[str, str] | None = None,
        command: Sequence[str | Path] | None = None,
        json_lines: bool = True,
        holds_contract: bool = True,
        **popen: Any,
    ) -> None:
        argv = [*(command or zomtrace_command()), *args]
        if json_lines:
            # Options of the run, so in front of the traced command.
            argv.insert(argv.index("--") if "--" in argv else len(argv), "--json")
        self._json_lines = json_lines
        self._holds_contract = holds_contract and json_lines
        self._stdout = bytearray()
        self._stderr = bytearray()
        self._arrived: list[tuple[float, bytes]] = []
        self._changed = threading.Condition()
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=None if env is None else dict(env), **popen,
        )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=(stream.fileno(), into))
            for stream, into in (
                (self.process.stdout, self._stdout),
                (self.process.stderr, self._stderr),
            )
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for reader in self._readers:
            reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    @property
    def stderr(self) -> str:
        """What it has said so far."""
        return self._stderr.decode(errors="backslashreplace")

    def lines_so_far(self) -> list[Json]:
        """The JSON lines that have arrived."""
        with self._changed:
            return [json.loads(line) for _, line in self._arrived]

    def arrival(self, line: Json) -> float:
        """When a line arrived, on the monotonic clock."""
        with self._changed:
            return next(when for when, raw in self._arrived if json.loads(raw) == line)

    def wait_line(
        self, wanted: Callable[[Json], bool], what: str, *, within_s: float = 60.0
    ) -> Json:
        """Wait for the first JSON line that is wanted."""
        deadline = time.monotonic() + within_s * PATIENCE
        checked = 0
        with self._changed:
            while True:
                while checked < len(self._arrived):
                    line: Json = json.loads(self._arrived[checked][1])
                    checked += 1
                    if wanted(line):
                        return line
                left = deadline - time.monotonic()
                if left <= 0 or not any(reader.is_alive() for reader in self._readers):
                    raise AssertionError(
                        f"{what}: not seen among {checked} lines (status"
                        f" {self.process.poll()}): {self.stderr[-2000:]}"
                    )
                self._changed.wait(min(left, 0.2))

    def wait_event(self, kind: str, *, within_s: float = 60.0, **fields: Any) -> Json:
        """Wait for the first event of a kind with these values."""
        return self.wait_line(
            lambda line: (
                line["kind"] == kind and all(line[key] == value for key, value in fields.items())
            ),
            f"{kind} with {fields}",
            within_s=within_s,
        )

    def wait_attached(self, *, within_s: float = 60.0) -> Self:
        """Wait for the ``attached`` line: what happens from now on is seen."""
        if self._json_lines:
            self.wait_event("attached", within_s=within_s)
        return self

    def wait_stderr(self, text: str, *, within_s: float = 60.0) -> None:
        """Wait until stderr holds a text."""
        deadline = time.monotonic() + within_s * PATIENCE
        with self._changed:
            while text not in self.stderr:
                left = deadline - time.monotonic()
                assert left > 0, f"{text!r} is not in stderr: {self.stderr!r}"
                self._changed.wait(min(left, 0.2))

    def interrupt(self, signo: int = signal.SIGINT) -> Self:
        """Press Ctrl-C."""
        self.process.send_signal(signo)
        return self

    def finish(self, *, status: int | None = 0, within_s: float = 60.0) -> Result:
        """Wait until it ends by itself, and take what it said.

        Args:
            status: The exit status it must have; None for any.
            within_s: The deadline.
        """
        try:
            got = self.process.wait(within_s * PATIENCE)
        except subprocess.TimeoutExpired:
            kinds = Counter(line["kind"] for line in self.lines_so_far())
            raise AssertionError(
                f"zomtrace still runs after {within_s} s: {dict(kinds)}, {self.stderr[-2000:]}"
            ) from None
        for reader in self._readers:
            reader.join()
        stdout = bytes(self._stdout)
        assert status is None or got == status, f"status {got}: {self.stderr}"
        lines = []
        if self._json_lines:
            # Who is interrupted twice ends in the midst of a line, if it was writing one.
            whole = stdout if self._holds_contract else stdout[: stdout.rfind(b"\n") + 1]
            lines = [json.loads(line) for line in whole.decode("utf-8").splitlines()]
        result = Result(got, lines, self.stderr, stdout)
        if self._holds_contract and lines:
            check_contract(result)
        return result

    def stop_tracing(self, *, status: int | None = 0) -> Result:
        """Ctrl-C, then :meth:`finish`."""
        return self.interrupt().finish(status=status)

    def _read(self, fd: int, into: bytearray) -> None:
        is_stdout = into is self._stdout
        start = 0
        while chunk := os.read(fd, 1 << 16):
            now = time.monotonic()
            with self._changed:
                into += chunk
                if is_stdout and self._json_lines:
                    while (end := into.find(b"\n", start)) >= 0:
                        self._arrived.append((now, bytes(into[start:end])))
                        start = end + 1
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()


def run_zomtrace(
    *args: str | Path, status: int | None = 0, within_s: float = 60.0, **options: Any
) -> Result:
    """Run zomtrace until it ends by itself."""
    with Zomtrace(*args, **options) as trace:
        return trace.finish(status=status, within_s=within_s)


def check_contract(result: Result) -> None:
    """Assert what holds for every run with ``--json``, whatever it traced."""
    lines = result.lines
    assert result.stdout.endswith(b"\n")
    assert lines[0]["kind"] == "attached"
    assert [line["kind"] for line in lines].count("attached") == 1
    assert lines[-1]["kind"] == "report"
    assert [line["kind"] for line in lines].count("report") == 1
    last_ns = 0
    last_of: dict[tuple[int, int], dict[str, Any]] = {}
    for line in lines:
        assert line["kind"] in KINDS, line
        assert tuple(line)[: len(COMMON_KEYS)] == COMMON_KEYS, line
        assert _RFC3339_UTC_NS.fullmatch(line["time"]), line
        _check_strings(line)
        if line["kind"] in {"fork", "exec", "exit", "reap"}:
            # What a folded life had been is told when it is opened.
            who = line["host_pid"], line["start_boot_ns"]
            earlier = last_of.get(who, line)
            assert line["boot_ns"] >= earlier["boot_ns"], (earlier, line)
            last_of[who] = line
        elif line["kind"] not in {"attached", "observation", "loss"} and not (
            line["kind"] == "signal" and (line["signal"] == "SIGCHLD" or line["repeats"])
        ):
            # Signals that were only counted are told later than the last of them.
            # Observations and losses are read beside the stream; and what happened
            # between the first hook and the last one is told as well.
            assert line["boot_ns"] >= last_ns, line
            last_ns = line["boot_ns"]
    ended = Counter((line["host_pid"], line["start_boot_ns"]) for line in result.of_kind("exit"))
    assert max(ended.values(), default=1) == 1, "a process exited twice"
    freed = Counter((line["host_pid"], line["start_boot_ns"]) for line in result.of_kind("reap"))
    assert max(freed.values(), default=1) == 1, "a process was reaped twice"
    report = result.report
    assert report["schema"] == "zomtrace.report/1"
    assert report["complete"] is (not report["lost"]), report["lost"]
    for stop in report["stops"]:
        assert sum(stop[count] for count in STOP_COUNTS) == stop["members"], stop
    for process in report["processes"]:
        if process["end"] == "exit":
            assert process["exit_code"] is not None, process
            assert process["term_signal"] is None, process
        elif process["end"] == "signal":
            assert process["exit_code"] is None, process
            assert process["term_signal"] is not None, process
            assert process["cause"] is not None, process
        else:
            assert process["exit_code"] is process["term_signal"] is process["cause"] is None
    # The report says of each process what its exit event said.
    exits = {(line["host_pid"], line["start_boot_ns"]): line for line in result.of_kind("exit")}
    for process in report["processes"]:
        ended_so = exits.get((process["host_pid"], process["start_boot_ns"]))
        if ended_so is not None:
            assert raw_status(process) == raw_status(ended_so), (process, ended_so)


def _check_strings(value: Any) -> None:
    if isinstance(value, str):
        assert not _CONTROL.search(value), ascii(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _check_strings(key)
            _check_strings(item)
    elif isinstance(value, list):
        for item in value:
            _check_strings(item)
