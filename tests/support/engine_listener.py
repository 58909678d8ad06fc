"""Whoever listens where an engine should: says what a test has him say."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

OK = b"HTTP/1.1 200 OK\r\n"
VERSION = b'{"ApiVersion": "1.41"}'
Speak = Callable[[socket.socket, str], None]


@contextlib.contextmanager
def a_listener(
    directory: Path, speak: Speak, *, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Listen on a socket; ``speak`` gets each connection and the path it asks for."""
    if tls is None:
        server = socket.socket(socket.AF_UNIX)
        path = directory / "engine.sock"
        path.unlink(missing_ok=True)
        server.bind(str(path))
        address = f"unix://{path}"
    else:
        server = socket.create_server(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    server.listen()
    thread = threading.Thread(target=_listen, args=(server, speak, tls))
    thread.start()
    try:
        yield address
    finally:
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        server.close()


def _listen(server: socket.socket, speak: Speak, tls: ssl.SSLContext | None) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        # Whoever has heard enough goes away.
        with (
            client,
            contextlib.suppress(OSError),
            client if tls is None else tls.wrap_socket(client, server_side=True) as spoken,
        ):
            request = spoken.recv(65536)
            # Who only looks whether somebody listens asks nothing.
            if request:
                speak(spoken, request.split()[1].decode())


def answer(body: object, headers: bytes = b"") -> bytes:
    """The bytes of a whole answer."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return OK + headers + b"Content-Length: %d\r\n\r\n" % len(raw) + raw


def answering(**bodies: object) -> Speak:
    """An engine that answers listing, inspect and events with these bodies."""

    def speak(client: socket.socket, path: str) -> None:
        kind = (
            "version" if path.endswith("/version")
            else "events" if "/events" in path
            else "listing" if "/containers/json" in path
            else "inspect"
        )  # fmt: skip
        client.sendall(answer({"version": VERSION, **bodies}[kind]))

    return speak
