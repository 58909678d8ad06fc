"""A Docker engine of a user's, as little of it as zomtrace asks: ADDRESS MODE [PID] [NAME].

What it is asked to do (POST) it notes beside its socket. In the mode "swap" it puts a
link to root's engine in its own place once it has been asked of a container.

Run by itself, with the system's Python, as whoever it shall belong to.
"""

from __future__ import annotations

import http.server
import json
import os
import socket
import socketserver
import sys
import time

ADDRESS, MODE = sys.argv[1:3]
PID = int(sys.argv[3]) if len(sys.argv) > 3 else 1
NAME = sys.argv[4] if len(sys.argv) > 4 else "web"
ID = "ef" * 32


def started() -> str:
    with open(f"/proc/{PID}/stat", encoding="utf-8") as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    began = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / 100
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began))


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the API does."""

    def do_GET(self) -> None:
        if MODE == "hang":
            time.sleep(1000)
        if self.path.endswith("/version"):
            answer: object = {"ApiVersion": "1.41", "Version": "20.10", "MinAPIVersion": "1.12"}
        elif "/containers/json" in self.path:
            answer = [{"Id": ID, "Names": [f"/{NAME}"], "State": "running", "Labels": {}}]
        elif "/events" in self.path:
            answer = {"Actor": [], "timeNano": "x"}
        else:
            state = {"Status": "running", "Pid": PID, "StartedAt": started()}
            answer = {"Id": ID, "Name": f"/{NAME}", "State": state, "Config": {}}
            if MODE == "swap":
                os.rename(ADDRESS, f"{ADDRESS}.was")
                os.symlink("/run/docker.sock", ADDRESS)
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        with open(f"{ADDRESS}.asked", "a", encoding="utf-8") as file:
            file.write(f"{self.path}\n")
        self.send_response(204)
        self.end_headers()

    def address_string(self) -> str:
        return "zomtrace"

    def log_message(self, *args: object) -> None:
        """Nothing."""


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """On a socket of either kind."""

    daemon_threads = True


if ADDRESS.startswith("/"):
    Server.address_family = socket.AF_UNIX
    server = Server(ADDRESS, Handler)  # type: ignore[arg-type]
    os.chmod(ADDRESS, 0o777)
else:
    server = Server(("127.0.0.1", int(ADDRESS)), Handler)
print("ready", flush=True)
server.serve_forever()
