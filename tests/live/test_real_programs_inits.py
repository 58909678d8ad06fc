"""Shells, inits and supervisors as PID 1: what is said of their stops is true."""

from __future__ import annotations

import pytest

from tests.support.real_programs import Program, Programs, check

SERVER = (
    "import signal, sys, time\n"
    "def end(*_):\n    print('server: done', flush=True)\n    sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, end)\n"
    "print('server: ready', flush=True)\n"
    "while True: time.sleep(1)\n"
)
DEAF = (
    "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('deaf: ready', flush=True)\n"
    "while True: time.sleep(1)\n"
)
SLOW = SERVER.replace("def end(*_):\n", "def end(*_):\n    time.sleep(60)\n")
SERVICE = "#!/bin/sh\nexec /usr/bin/python3 -I -S /work/server.py\n"
FILES = {"server.py": SERVER, "deaf.py": DEAF, "slow.py": SLOW, "run": SERVICE}
A_SERVICE = "mkdir -p /tmp/svc/a; cp /work/run /tmp/svc/a/run"
PYTHON = "/usr/bin/python3 -I -S"
SERVE = f"{PYTHON} server.py"

PROGRAMS = [
    Program(
        "bash-foreground",
        ["bash", "-c", "echo ready; sleep 100; :"],
        "ready",
        "bash has no SIGTERM handler, and as PID 1 it is protected from the default action",
        137,
        "bash.*no SIGTERM handler.*SIGKILL",
        codes=["ZT101", "ZT103"],
        says=["Start the program with `exec`"],
        grace_s=2,
    ),
    Program(
        "sh-trap-exit",
        ["sh", "-c", f"trap 'exit 0' TERM; {SERVE} & wait"],
        "server: ready",
        "the trap runs at once and the shell exits; nobody tells the server",
        0,
        "code 0; the one other process died of SIGKILL",
        codes=["ZT102"],
        never=["server: done"],
        files=FILES,
    ),
    Program(
        "sh-forward-once",
        ["sh", "-c", f"trap 'kill $c' TERM; {SERVE} & c=$!; wait $c"],
        "server: ready",
        "the trap interrupts wait, which returns 143, and the script is over",
        143,
        "code 143; the one other process died of SIGKILL",
        codes=["ZT108"],
        files=FILES,
    ),
    Program(
        "sh-forward-and-wait",
        ["sh", "-c", f"trap 'kill $c' TERM; {SERVE} & c=$!; wait $c; wait $c"],
        "server: ready",
        "the second wait is for the server, which ends by itself",
        0,
        "code 0; the one other process exited",
        log=["server: done"],
        files=FILES,
    ),
    Program(
        "sh-exec",
        ["sh", "-c", f"exec {SERVE}"],
        "server: ready",
        "the server is PID 1 and handles the signal",
        0,
        "server.py",
        log=["server: done"],
        files=FILES,
    ),
    Program(
        "tini",
        ["tini", "--", *SERVE.split()],
        "server: ready",
        "tini forwards signals to its child, and exits with its code",
        0,
        "`tini .*code 0; the one other process exited",
        log=["server: done"],
        needs=["tini"],
        files=FILES,
    ),
    Program(
        "tini-deaf",
        ["tini", "--", *f"{PYTHON} deaf.py".split()],
        "deaf: ready",
        "tini waits for the child, which ignores SIGTERM",
        137,
        "waited for python3.*, which ignores SIGTERM, and runc sent SIGKILL",
        codes=["ZT103"],
        needs=["tini"],
        says=["A longer grace period does not help"],
        files=FILES,
        grace_s=2,
    ),
    Program(
        "tini-shell",
        ["tini", "--", "sh", "-c", f"{SERVE}; :"],
        "server: ready",
        "the shell dies of SIGTERM, tini exits, and the server was never told",
        143,
        "sh .* died of SIGTERM",
        codes=["ZT102"],
        says=["sh .* did not forward SIGTERM"],
        needs=["tini"],
        files=FILES,
    ),
    Program(
        "tini-group",
        ["tini", "-g", "--", "sh", "-c", f"{PYTHON} slow.py; :"],
        "server: ready",
        "tini -g signals the group, and waits for its child alone: the shell,"
        " which dies at once; the server's handler is cut off",
        143,
        "`tini -g",
        codes=["ZT108"],
        says=["waiting for python3"],
        needs=["tini"],
        files=FILES,
    ),
    Program(
        "dumb-init",
        ["dumb-init", "--", "sh", "-c", f"{PYTHON} slow.py; :"],
        "server: ready",
        "dumb-init signals its child's group, and waits for its child alone",
        143,
        "`dumb-init",
        codes=["ZT108"],
        says=["waiting for python3"],
        needs=["dumb-init"],
        files=FILES,
    ),
    Program(
        "dumb-init-child",
        ["dumb-init", "--", *SERVE.split()],
        "server: ready",
        "dumb-init forwards signals to its child, and exits with its code",
        0,
        "`dumb-init",
        log=["server: done"],
        needs=["dumb-init"],
        files=FILES,
    ),
    Program(
        "catatonit",
        ["catatonit", "--", *SERVE.split()],
        "server: ready",
        "catatonit forwards signals to its child, and exits with its code",
        0,
        "catatonit",
        log=["server: done"],
        needs=["catatonit"],
        files=FILES,
    ),
    Program(
        "s6-svscan",
        ["s6-svscan", "/tmp/svc"],
        "server: ready",
        "SIGTERM: s6-svscan has each s6-supervise end its service, and waits",
        0,
        "s6-svscan",
        log=["server: done"],
        needs=["s6-svscan"],
        files=FILES,
        prepare=A_SERVICE,
    ),
    Program(
        "runsvdir-term",
        ["runsvdir", "/tmp/svc"],
        "server: ready",
        "SIGTERM: runsvdir exits 0 immediately, and leaves its services alone",
        0,
        "runsvdir",
        codes=["ZT102"],
        needs=["runsvdir"],
        files=FILES,
        prepare=A_SERVICE,
    ),
    Program(
        "runsvdir-hup",
        ["runsvdir", "/tmp/svc"],
        "server: ready",
        "SIGHUP: runsvdir sends TERM to each runsv, and exits 111 at once",
        111,
        "runsvdir",
        codes=["ZT108"],
        needs=["runsvdir"],
        signal="SIGHUP",
        files=FILES,
        prepare=A_SERVICE,
    ),
    Program(
        "timeout",
        ["timeout", "100", *SERVE.split()],
        "server: ready",
        "timeout forwards SIGTERM to its command, and exits with its code",
        0,
        "timeout",
        log=["server: done"],
        files=FILES,
    ),
    Program(
        "xargs",
        ["xargs", "-a", "/work/args", *PYTHON.split()],
        "server: ready",
        "GNU xargs has no SIGTERM handler",
        137,
        "xargs.*no SIGTERM handler",
        codes=["ZT101", "ZT103"],
        grace_s=2,
        files={**FILES, "args": "server.py\n"},
    ),
    Program(
        "make",
        ["make", "-f", "/work/Makefile"],
        "server: ready",
        "make sends SIGTERM to its children, waits for them, and raises it again: which has no"
        " effect in PID 1, so it exits with 2",
        2,
        "^web was stopped in .*`make .*code 2",
        infos=["ZT110"],
        says=["make raised SIGTERM again"],
        never=["no handler"],
        log=["server: done"],
        needs=["make"],
        files={**FILES, "Makefile": f"all:\n\t{SERVE}\n"},
    ),
    Program(
        "parallel",
        ["parallel", "--will-cite", "--ungroup", PYTHON, ":::", "server.py"],
        "server: ready",
        "--termseq: SIGTERM to its jobs first, which end",
        255,
        "parallel.*code 255",
        log=["server: done"],
        never=["another signal"],
        needs=["parallel"],
        files=FILES,
        options=["-e", "HOME=/tmp"],
    ),
]


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_what_is_said_of_its_stop_is_true(programs: Programs, program: Program) -> None:
    check(program, programs.stop(program))
