"""Python's servers, supervisors and pools as PID 1: what is said of them is true."""

from __future__ import annotations

import pytest

from tests.support.real_programs import Program, Programs, check

WSGI = {
    "app.py": """
import time
def app(environ, start_response):
    print("request", environ["PATH_INFO"], flush=True)
    if environ["PATH_INFO"] == "/slow":
        time.sleep(60)
    start_response("200 OK", [])
    return [b"ok"]
async def asgi(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
""",
    "uapp.py": """
def application(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]
""",
    "tasks.py": """
import time
from celery import Celery
app = Celery("tasks", broker="memory://")
""",
}
SUPERVISOR = {
    "deaf.py": """
import signal, time
signal.signal(15, signal.SIG_IGN)
print('deaf: ready', flush=True)
while True: time.sleep(1)
""",
    "supervisord.conf": """
[supervisord]
nodaemon=true
logfile=/dev/stdout
logfile_maxbytes=0
pidfile=/tmp/s.pid
user=root
[program:deaf]
command=/usr/bin/python3 -I -S /work/deaf.py
stopwaitsecs=1
startsecs=0
stdout_logfile=/dev/stdout
stdout_logfile_maxbytes=0
[program:good]
command=sleep 1000
""",
}
POOL = {
    "pool.py": """
import multiprocessing, time
def work(n): time.sleep(0.1)
if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool:
        pool.map(work, range(4))
        print("pool: ready", flush=True)
        time.sleep(100)
""",
    "futures.py": """
import concurrent.futures, signal, sys, threading, time
def work(n): time.sleep(0.1)
if __name__ == "__main__":
    end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: end.set())
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        list(pool.map(work, range(4)))
        print("pool: ready", flush=True)
        end.wait()
    print("pool: done", flush=True)
""",
}
SLOW = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
PY = "/usr/bin/python3"
PROGRAMS = [
    Program(
        "gunicorn-term",
        [
            "{venv}/bin/gunicorn",
            "-w",
            "2",
            "-b",
            "127.0.0.1:8000",
            "--worker-tmp-dir",
            "/tmp",
            "app:app",
        ],
        "(?s)Booting worker.*Booting worker",
        "TERM: workers finish their requests, within --graceful-timeout",
        0,
        "gunicorn",
        needs=["{venv}/bin/gunicorn"],
        log=["Handling signal: term", "Shutting down: Master"],
        files=WSGI,
    ),
    Program(
        "gunicorn-quit",
        [
            "{venv}/bin/gunicorn",
            "-w",
            "2",
            "-b",
            "127.0.0.1:8000",
            "--worker-tmp-dir",
            "/tmp",
            "app:app",
        ],
        "(?s)Booting worker.*Booting worker",
        "QUIT: workers are ended at once",
        0,
        "gunicorn",
        needs=["{venv}/bin/gunicorn"],
        signal="SIGQUIT",
        log=["Handling signal: quit", "Shutting down: Master"],
        files=WSGI,
    ),
    Program(
        "gunicorn-timeout",
        [
            "{venv}/bin/gunicorn",
            "-w",
            "1",
            "-t",
            "1",
            "-b",
            "127.0.0.1:8000",
            "--worker-tmp-dir",
            "/tmp",
            "app:app",
        ],
        "(?s)Booting worker",
        "a worker that does not answer within --timeout gets SIGABRT, later SIGKILL",
        0,
        "gunicorn",
        needs=["{venv}/bin/gunicorn"],
        port=8000,
        sends=SLOW,
        until="(?s)WORKER TIMEOUT.*Booting worker",
        infos=["ZT106"],
        says=["after SIGABRT, for which it has a handler"],
        log=["WORKER TIMEOUT"],
        files=WSGI,
    ),
    Program(
        "gunicorn-graceful",
        [
            "{venv}/bin/gunicorn",
            "-w",
            "1",
            "--graceful-timeout",
            "1",
            "-b",
            "127.0.0.1:8000",
            "--worker-tmp-dir",
            "/tmp",
            "app:app",
        ],
        "(?s)Booting worker",
        "a worker still busy at --graceful-timeout gets SIGKILL",
        0,
        "gunicorn",
        needs=["{venv}/bin/gunicorn"],
        port=8000,
        sends=SLOW,
        until="request /slow",
        infos=["ZT106"],
        log=["Handling signal: term"],
        files=WSGI,
    ),
    Program(
        "uvicorn",
        ["{venv}/bin/uvicorn", "--workers", "2", "app:asgi", "--lifespan", "off"],
        "(?s)Started server.*Started server",
        "TERM: the parent ends its workers and waits for them",
        0,
        "uvicorn",
        needs=["{venv}/bin/uvicorn"],
        log=["Stopping parent process"],
        files=WSGI,
    ),
    Program(
        "hypercorn",
        ["{venv}/bin/hypercorn", "-w", "2", "app:asgi"],
        "(?s)Running on.*Running on",
        "TERM: the parent ends its workers and waits for them",
        0,
        "hypercorn",
        needs=["{venv}/bin/hypercorn"],
        files=WSGI,
    ),
    Program(
        "supervisord",
        ["{venv}/bin/supervisord", "-c", "/work/supervisord.conf"],
        "deaf: ready",
        "TERM: its programs are sent SIGTERM, and SIGKILL after stopwaitsecs",
        0,
        "supervisord",
        infos=["ZT106"],
        says=["1\\.0 s after SIGTERM, which it ignores"],
        needs=["{venv}/bin/supervisord"],
        log=["killing 'deaf' \\(\\d+\\) with SIGKILL", "stopped: good \\(terminated by SIGTERM\\)"],
        files=SUPERVISOR,
    ),
    Program(
        "celery",
        [
            "{venv}/bin/celery",
            "-A",
            "tasks",
            "worker",
            "-c",
            "2",
            "--pool",
            "prefork",
            "-l",
            "info",
        ],
        "ready\\.",
        "TERM: warm shutdown, the pool's processes finish their tasks",
        0,
        "celery",
        needs=["{venv}/bin/celery"],
        log=["worker: Warm shutdown"],
        files=WSGI,
    ),
    Program(
        "honcho",
        ["{venv}/bin/honcho", "start", "--no-prefix"],
        "(?s)ready.*ready",
        "TERM: honcho sends it to every process, and exits with 143",
        143,
        "honcho",
        needs=["{venv}/bin/honcho"],
        files={"Procfile": "a: echo ready; exec sleep 1000\nb: echo ready; exec sleep 1000\n"},
    ),
    Program(
        "pool-no-handler",
        [PY, "pool.py"],
        "pool: ready",
        "Python has no SIGTERM handler of its own",
        137,
        "pool.py",
        codes=["ZT101", "ZT103"],
        grace_s=2,
        files=POOL,
    ),
    Program(
        "futures",
        [PY, "futures.py"],
        "pool: ready",
        "the program ends its pool in order",
        0,
        "futures.py",
        log=["pool: done"],
        files=POOL,
    ),
    Program(
        "uwsgi-term",
        [
            "uwsgi",
            "--plugin",
            "python3",
            "--master",
            "-p",
            "2",
            "--http-socket",
            "127.0.0.1:9090",
            "--wsgi-file",
            "/work/uapp.py",
        ],
        "(?s)spawned uWSGI worker 2",
        "TERM: uwsgi reloads",
        137,
        "uwsgi",
        codes=["ZT103"],
        needs=["uwsgi"],
        grace_s=2,
        files=WSGI,
    ),
    Program(
        "uwsgi-die",
        [
            "uwsgi",
            "--die-on-term",
            "--plugin",
            "python3",
            "--master",
            "-p",
            "2",
            "--http-socket",
            "127.0.0.1:9090",
            "--wsgi-file",
            "/work/uapp.py",
        ],
        "(?s)spawned uWSGI worker 2",
        "--die-on-term: TERM ends it",
        0,
        "uwsgi",
        needs=["uwsgi"],
        files=WSGI,
        log=["goodbye to uWSGI"],
    ),
]


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_what_is_said_of_its_stop_is_true(programs: Programs, program: Program) -> None:
    check(program, programs.stop(program))
