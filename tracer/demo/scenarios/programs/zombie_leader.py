"""Processes whose main thread ends while another one runs on."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from functools import partial

from tracer.demo.scenarios.programs.kernelcalls import end_this_thread
from tracer.demo.scenarios.programs.notes import exit_on, idle, say, start

_POLL_S = 0.005


def main(_arguments: Sequence[str]) -> None:
    """Start two such leaders, try to reap them; end one's last thread on request.

    SIGUSR1 ends the last thread of the first; the other is left as it is.
    """
    exit_on(signal.SIGTERM)
    read_end, write_end = os.pipe()
    ending = start("leader-ends", partial(_leader, read_end))
    staying = start("leader-stays", partial(_leader, os.pipe()[0]))
    signal.signal(signal.SIGUSR1, lambda _signo, _frame: os.write(write_end, b"!"))
    for leader in (ending, staying):
        while _state(leader) != "Z":
            time.sleep(_POLL_S)
        reaped, _ = os.waitpid(leader, os.WNOHANG)
        threads = len(os.listdir(f"/proc/{leader}/task"))
        say("zombie", f"{leader} {threads} {reaped}")
    say("stuck")
    reaped, status = os.waitpid(ending, 0)
    say("reaped", f"{reaped} {os.waitstatus_to_exitcode(status)}")
    say("ready")
    idle()


def _leader(read_end: int) -> None:
    thread = threading.Thread(target=_last_thread, args=(read_end,))
    thread.start()
    end_this_thread()


def _last_thread(read_end: int) -> None:
    os.read(read_end, 1)
    os._exit(3)


def _state(pid: int) -> str:
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0]
