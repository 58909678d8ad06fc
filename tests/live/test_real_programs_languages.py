"""Databases, and programs of other languages as PID 1: what is said of them is true."""

from __future__ import annotations

import struct

import pytest

from tests.support.real_programs import Program, Programs, check

STARTUP = struct.pack("!II", 41, 196608) + b"user\0postgres\0database\0postgres\0\0"
POSTGRES = "PATH=$PATH:$(ls -d /usr/lib/postgresql/*/bin)"
PG = ["postgres", "-D", "/tmp/data", "-k", "/tmp", "-c", "log_connections=on"]
OPT = ["--user", "65534:65534"]
INIT = f"{POSTGRES}; initdb -D /tmp/data -U postgres -A trust -N >/dev/null"
NODE = {
    "handles.js": """
process.on('SIGTERM', () => { console.log('node: done'); process.exit(0) });
setInterval(() => {}, 1000);
console.log('node: ready');
""",
    "plain.js": "setInterval(() => {}, 1000); console.log('node: ready')\n",
    "package.json": """
{"name": "a", "version": "1.0.0",
 "scripts": {"start": "node handles.js", "slow": "node handles.js; true"}}
""",
}
JAVA = {
    "Main.java": """
public class Main { public static void main(String[] a) throws Exception {
 Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("java: done")));
 System.out.println("java: ready"); Thread.sleep(100000); } }
"""
}
PERL = {
    "handles.pl": r"""
$| = 1;
$SIG{TERM} = sub { print "perl: done\n"; exit 3 };
print "perl: ready\n";
sleep 100;
"""
}
PROGRAMS = [
    Program(
        "postgres-smart",
        PG,
        "ready to accept connections",
        "TERM: smart shutdown, which without clients is done at once",
        0,
        "postgres",
        options=OPT,
        prepare=INIT,
        log=["received smart shutdown request", "database system is shut down"],
        needs=["/usr/lib/postgresql/*/bin/postgres"],
    ),
    Program(
        "postgres-smart-client",
        PG,
        "ready to accept connections",
        "TERM: smart shutdown waits until every client has gone; INT would not",
        137,
        "postgres",
        codes=["ZT103"],
        grace_s=2,
        port=5432,
        sends=STARTUP,
        until="connection authorized",
        says=["STOPSIGNAL SIGINT"],
        options=OPT,
        prepare=INIT,
        log=["received smart shutdown request"],
        needs=["/usr/lib/postgresql/*/bin/postgres"],
    ),
    Program(
        "postgres-fast",
        PG,
        "ready to accept connections",
        "INT: fast shutdown: the server ends its children in order",
        0,
        "postgres",
        options=OPT,
        prepare=INIT,
        signal="SIGINT",
        log=["received fast shutdown request", "database system is shut down"],
        needs=["/usr/lib/postgresql/*/bin/postgres"],
    ),
    Program(
        "postgres-immediate",
        PG,
        "ready to accept connections",
        "QUIT: immediate shutdown: the server has its children quit at once",
        0,
        "postgres",
        options=OPT,
        prepare=INIT,
        signal="SIGQUIT",
        log=["received immediate shutdown request"],
        needs=["/usr/lib/postgresql/*/bin/postgres"],
    ),
    Program(
        "node-handles",
        ["node", "handles.js"],
        "node: ready",
        "a process.on handler ends it",
        0,
        "node",
        needs=["node"],
        files=NODE,
        log=["node: done"],
    ),
    Program(
        "node-plain",
        ["node", "plain.js"],
        "node: ready",
        "node's own handler raises SIGTERM again, which has no effect in PID 1",
        137,
        "node",
        needs=["node"],
        files=NODE,
        codes=["ZT103"],
        infos=["ZT110"],
        says=["Run an init as PID 1", "raised SIGTERM again"],
        never=["Find out what node"],
        grace_s=2,
    ),
    Program(
        "npm-start",
        ["npm", "start"],
        "node: ready",
        "npm sends SIGTERM to its shell, which dies without telling node",
        1,
        "npm",
        codes=["ZT102"],
        infos=["ZT110"],
        needs=["npm"],
        files=NODE,
        options=["-e", "HOME=/tmp"],
    ),
    Program(
        "npm-slow",
        ["npm", "run", "slow"],
        "node: ready",
        "npm sends SIGTERM to its shell, which dies without telling node",
        1,
        "npm",
        codes=["ZT102"],
        infos=["ZT110"],
        needs=["npm"],
        files=NODE,
        options=["-e", "HOME=/tmp"],
    ),
    Program(
        "java",
        ["java", "Main.java"],
        "java: ready",
        "the JVM runs its hooks on SIGTERM, and chooses 143",
        143,
        "java",
        needs=["java"],
        files=JAVA,
        log=["java: done"],
    ),
    Program(
        "ruby",
        ["ruby", "-e", "puts 'ruby: ready'; $stdout.flush; sleep"],
        "ruby: ready",
        "ruby raises SIGTERM again at its end, which has no effect in PID 1",
        1,
        "ruby",
        infos=["ZT110"],
        needs=["ruby"],
    ),
    Program(
        "perl-plain",
        ["perl", "-e", "$|=1; print qq(perl: ready\\n); sleep 100"],
        "perl: ready",
        "perl has no SIGTERM handler of its own",
        137,
        "perl",
        codes=["ZT101", "ZT103"],
        grace_s=2,
    ),
    Program(
        "perl-handles",
        ["perl", "handles.pl"],
        "perl: ready",
        "the program's handler ends it, with the code it chose",
        3,
        "perl",
        log=["perl: done"],
        files=PERL,
    ),
]


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_what_is_said_of_its_stop_is_true(programs: Programs, program: Program) -> None:
    check(program, programs.stop(program))
