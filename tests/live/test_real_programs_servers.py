"""Web servers and daemons as PID 1: what is said of their stops is true."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.real_programs import Program, Programs, check

NGINX = {
    "nginx.conf": """
worker_processes 2;
error_log /work/error.log info;
pid /run/nginx.pid;
events {}
http { access_log off; client_body_temp_path /tmp/b; proxy_temp_path /tmp/p;
fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;
server { listen 8080; location / { root /work; } } }
"""
}
APACHE = {
    "apache.conf": """
ServerRoot /usr/lib/apache2
ServerName localhost
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authz_core_module modules/mod_authz_core.so
Listen 8080
ErrorLog /work/error.log
PidFile /run/apache2.pid
DefaultRuntimeDir /run
User www-data
Group www-data
LogLevel info
"""
}
HAPROXY = {
    "haproxy.cfg": """
global
    log stdout format raw daemon
defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 60s
listen web
    bind :8080
    http-request return status 200
"""
}
FPM_PROGRAM = next((path.name for path in Path("/usr/sbin").glob("php-fpm*")), "php-fpm")
FPM = {
    "fpm.conf": """
[global]
error_log = /work/fpm.log
daemonize = no
pid = /run/fpm.pid
[www]
user = www-data
listen = 127.0.0.1:9000
pm = static
pm.max_children = 2
"""
}
UNBOUND = """
server:
 interface: 127.0.0.1
 use-syslog: no
 logfile: ""
 chroot: ""
 username: ""
 verbosity: 1
 port: 5353
remote-control:
 control-enable: no
"""
SQUID = """
http_port 3128
pinger_enable off
shutdown_lifetime 1 seconds
pid_filename none
access_log none
cache_log stdio:/dev/stderr
"""
VSFTPD = """
listen=YES
listen_port=2121
background=NO
secure_chroot_dir=/run
"""
PROGRAMS = [
    Program(
        "nginx-quit",
        ["nginx", "-c", "/work/nginx.conf", "-g", "daemon off;"],
        "(start worker process \\d+\\n.*){2}",
        "QUIT: graceful shutdown, the workers finish their requests",
        0,
        "nginx",
        log=["signal 3 \\(SIGQUIT\\).*shutting down", "gracefully shutting down"],
        needs=["nginx"],
        signal="SIGQUIT",
        files=NGINX,
    ),
    Program(
        "nginx-term",
        ["nginx", "-c", "/work/nginx.conf", "-g", "daemon off;"],
        "(start worker process \\d+\\n.*){2}",
        "TERM: fast shutdown, the workers end at once",
        0,
        "nginx",
        log=["signal 15 \\(SIGTERM\\).*exiting"],
        needs=["nginx"],
        files=NGINX,
    ),
    Program(
        "nginx-quit-client",
        ["nginx", "-c", "/work/nginx.conf", "-g", "daemon off;"],
        8080,
        "QUIT: a worker waits for a request that has begun; nginx waits for the worker",
        137,
        "nginx .PID 1. received SIGQUIT from runc but did not exit",
        codes=["ZT103"],
        grace_s=2,
        port=8080,
        sends=b"GET / HTTP/1.1\r\nHost: a\r\n",
        says=["nginx had a handler for SIGQUIT and had not exited"],
        never=["STOPSIGNAL SIGQUIT"],
        log=["signal 3 \\(SIGQUIT\\).*shutting down"],
        needs=["nginx"],
        signal="SIGQUIT",
        files=NGINX,
    ),
    Program(
        "apache-winch",
        ["apache2", "-DFOREGROUND", "-f", "/work/apache.conf"],
        "resuming normal operations",
        "WINCH: graceful stop, requests are finished",
        0,
        "apache2",
        log=["caught SIGWINCH, shutting down gracefully"],
        needs=["apache2"],
        signal="SIGWINCH",
        files=APACHE,
    ),
    Program(
        "apache-term",
        ["apache2", "-DFOREGROUND", "-f", "/work/apache.conf"],
        "resuming normal operations",
        "TERM: the children are ended at once",
        0,
        "apache2",
        log=["caught SIGTERM, shutting down"],
        needs=["apache2"],
        files=APACHE,
    ),
    Program(
        "redis",
        ["redis-server", "--save", "", "--dir", "/tmp"],
        "Ready to accept connections",
        "TERM: redis saves if need be, and exits with 0",
        0,
        "redis-server",
        log=["Received SIGTERM scheduling shutdown", "bye bye"],
        needs=["redis-server"],
    ),
    Program(
        "memcached",
        ["memcached", "-u", "nobody", "-vv"],
        11211,
        "TERM: memcached exits with 0",
        0,
        "memcached",
        needs=["memcached"],
    ),
    Program(
        "haproxy-usr1",
        ["haproxy", "-W", "-f", "/work/haproxy.cfg"],
        "(?s)forked.*Loading success",
        "USR1: soft stop, the worker ends when its connections have",
        0,
        "haproxy",
        needs=["haproxy"],
        signal="SIGUSR1",
        files=HAPROXY,
    ),
    Program(
        "haproxy-term",
        ["haproxy", "-W", "-f", "/work/haproxy.cfg"],
        "(?s)forked.*Loading success",
        "TERM: the worker dies of it, and the master waits for it",
        0,
        "died of SIGTERM",
        log=["Current worker .* exited with code 143 .Terminated.", "All workers exited"],
        never=["another signal"],
        needs=["haproxy"],
        files=HAPROXY,
    ),
    Program(
        "vsftpd",
        ["vsftpd", "/work/vsftpd.conf"],
        2121,
        "the listener of vsftpd has no SIGTERM handler",
        137,
        "vsftpd.*no SIGTERM handler",
        codes=["ZT101", "ZT103"],
        needs=["vsftpd"],
        grace_s=2,
        files={"vsftpd.conf": VSFTPD},
    ),
    Program(
        "fpm-quit",
        [FPM_PROGRAM, "-F", "-y", "/work/fpm.conf"],
        "ready to handle connections",
        "QUIT: graceful stop, children finish their requests",
        0,
        "php-fpm",
        needs=[FPM_PROGRAM],
        signal="SIGQUIT",
        never=["another signal"],
        files=FPM,
        log=["Finishing ...", "exiting, bye-bye"],
    ),
    Program(
        "fpm-term",
        [FPM_PROGRAM, "-F", "-y", "/work/fpm.conf"],
        "ready to handle connections",
        "TERM: the children are ended at once",
        0,
        "php-fpm",
        needs=[FPM_PROGRAM],
        files=FPM,
        log=["Terminating ...", "exiting, bye-bye"],
    ),
    Program(
        "dnsmasq",
        [
            "dnsmasq",
            "-k",
            "-C",
            "/dev/null",
            "--log-facility=-",
            "-p",
            "5353",
            "--no-resolv",
            "-u",
            "root",
        ],
        "started, version",
        "TERM: dnsmasq exits with 0",
        0,
        "dnsmasq",
        needs=["dnsmasq"],
        log=["exiting on receipt of SIGTERM"],
    ),
    Program(
        "unbound",
        ["unbound", "-d", "-p", "-c", "/work/unbound.conf"],
        "start of service",
        "TERM: unbound exits with 0",
        0,
        "unbound",
        needs=["unbound"],
        log=["service stopped"],
        files={"unbound.conf": UNBOUND},
    ),
    Program(
        "mosquitto",
        ["mosquitto", "-c", "/work/m.conf"],
        "running",
        "TERM: mosquitto exits with 0",
        0,
        "mosquitto",
        needs=["mosquitto"],
        log=["terminating"],
        files={"m.conf": "listener 1883 127.0.0.1\nuser root\n"},
    ),
    Program(
        "lighttpd",
        ["lighttpd", "-D", "-f", "/work/l.conf"],
        "server started",
        "TERM: lighttpd exits with 0",
        0,
        "lighttpd",
        needs=["lighttpd"],
        log=["server stopped by UID = 0 PID = 0"],
        files={"l.conf": 'server.document-root="/work"\nserver.port=8080\n'},
    ),
    Program(
        "cron",
        ["cron", "-f", "-L", "0"],
        "ready",
        "cron has no SIGTERM handler",
        137,
        "cron.*no SIGTERM handler",
        codes=["ZT101", "ZT103"],
        grace_s=2,
        needs=["cron"],
        prepare="mkdir -p /var/spool/cron/crontabs; echo ready",
    ),
    Program(
        "sshd",
        ["/usr/sbin/sshd", "-D", "-e", "-p", "2222", "-h", "/tmp/key", "-f", "/dev/null"],
        "listening on",
        "TERM: sshd exits",
        0,
        "sshd",
        needs=["sshd"],
        log=["Received signal 15; terminating"],
        prepare="mkdir /run/sshd; ssh-keygen -q -t ed25519 -N '' -f /tmp/key",
    ),
    Program(
        "busybox-httpd",
        ["busybox", "httpd", "-f", "-p", "8080"],
        8080,
        "busybox httpd has no SIGTERM handler",
        137,
        "busybox httpd.*no SIGTERM handler",
        codes=["ZT101", "ZT103"],
        grace_s=2,
    ),
    Program(
        "squid",
        ["squid", "-N", "-f", "/work/s.conf"],
        "(?i)accepting http",
        "TERM: waits shutdown_lifetime for its clients",
        0,
        "squid",
        needs=["squid"],
        files={"s.conf": SQUID},
    ),
]


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_what_is_said_of_its_stop_is_true(programs: Programs, program: Program) -> None:
    check(program, programs.stop(program))
