"""One exchange with an engine: bounded in bytes, in time as a whole, and in what is parsed.

Any program may listen on a socket: an answer may never end, come a byte a
second, be compressed a thousand to one or lead elsewhere.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tracer.containers.engine_sockets import LOOPBACK, listener_uid, listeners, peer
from tracer.trust.users import user_label
from tracer.trust.walk import is_trusted_uid, walk

MOST_BYTES = 4 << 20
"""Of a body: two thousand containers, as Docker lists them."""
_BYTES_A_VALUE = 16
"""What a JSON value takes at the least on the average; ``[{},{},`` makes 30 times its size."""
_MOST_QUOTED = 200
_PIECE = 1 << 16


class UnfitAnswerError(Exception):
    """It answers, but not as an engine would; the message says in what way."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Args:
        status: The HTTP status.
        body: All of it.
        listener_pid: Who made the socket; None where it is none of this machine, or
            of another PID namespace.
    """

    status: int
    body: bytes
    listener_pid: int | None = None

    def json(self) -> Any:
        """Parse the body.

        Raises:
            UnfitAnswerError: It is no JSON, or holds more than an engine would say.
        """
        return parse_json(self.body)


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """Where an engine listens, and how it is to be spoken to.

    Args:
        unix_path: Of its socket; None for tcp.
        host: Of tcp.
        port: Likewise.
        tls: The set-up of an encrypted one, else None.
        owner_uid: Whose engine it was found to be; None: root's, or our own. No one
            else is spoken to there.
    """

    unix_path: str | None = None
    host: str = ""
    port: int = 0
    tls: ssl.SSLContext | None = None
    owner_uid: int | None = None

    @classmethod
    def parse(
        cls, address: str, environ: Mapping[str, str], owner_uid: int | None = None
    ) -> EngineAddress:
        """Read ``unix:///...`` or ``tcp://...``.

        Args:
            address: As DOCKER_HOST has it.
            environ: Where a TLS set-up is read from: ``DOCKER_TLS_VERIFY`` (verified) or
                ``DOCKER_CERT_PATH`` alone (not verified), with ca.pem, cert.pem and
                key.pem in that directory.
            owner_uid: Whose it is.

        Raises:
            ValueError: No engine can have such an address.
            OSError: A certificate cannot be read.
        """
        if address.startswith("unix://"):
            return cls(unix_path=address.removeprefix("unix://"), owner_uid=owner_uid)
        parts = urlsplit(address)
        if not parts.hostname or not parts.port:
            raise ValueError("a host and a port are needed, as in tcp://127.0.0.1:2375")
        verifies = bool(environ.get("DOCKER_TLS_VERIFY"))
        certificates = environ.get("DOCKER_CERT_PATH")
        is_encrypted = verifies or certificates or parts.scheme == "https"
        tls = _tls(certificates, verifies=verifies, environ=environ) if is_encrypted else None
        return cls(host=parts.hostname, port=parts.port, tls=tls, owner_uid=owner_uid)


def exchange(
    address: EngineAddress,
    method: str,
    target: str,
    *,
    until_s: float,
    most_bytes: int = MOST_BYTES,
) -> Answer:
    """Ask once, on a connection of its own.

    Args:
        address: Who is asked.
        method: GET or POST.
        target: Path and query.
        until_s: When all of it must be over, on the monotonic clock.
        most_bytes: How long a body may be.

    Raises:
        OSError: No connection; a TimeoutError where time is up.
        UnfitAnswerError: What comes is no answer, too long, compressed or a redirect.
    """
    connection = http.client.HTTPConnection("docker", timeout=_left_s(until_s))
    try:
        connected = connection.sock = _connect(address, until_s)
        listener_pid = _listener_pid(connected)
        connection.request(method, target, headers={"Connection": "close"})
        with connection.getresponse() as response:
            body = _read_body(response, until_s, most_bytes)
            return Answer(response.status, body, listener_pid)
    except (http.client.HTTPException, ValueError) as error:
        said = str(error) or type(error).__name__
        raise UnfitAnswerError(f"its answer is not HTTP: {quote(said)}") from error
    finally:
        connection.close()


def parse_json(body: bytes) -> Any:
    """Parse untrusted JSON.

    Raises:
        UnfitAnswerError: It is none, or would take much more memory than it is long.
    """
    # Before anything is made of it: each value but the first stands behind one of these.
    values = sum(body.count(mark) for mark in (b",", b"[", b"{"))
    if values > max(1024, min(len(body), MOST_BYTES) // _BYTES_A_VALUE):
        raise UnfitAnswerError("its JSON has too many values")
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except RecursionError as error:
        raise UnfitAnswerError("its JSON is nested too deeply") from error
    except ValueError as error:
        raise UnfitAnswerError(f"its answer is not JSON: {quote(str(error))}") from error


def quote(text: str) -> str:
    """Cut untrusted text that is shown to one line of printable characters."""
    text = text.strip()
    cut = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text[:_MOST_QUOTED])
    return cut if len(text) <= _MOST_QUOTED else f"{cut}..."


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _left_s(until_s: float) -> float:
    left_s = until_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("timed out")
    return left_s


class _PunctualSocket(socket.socket):
    """A socket whose every read ends when the whole exchange must.

    A timeout is for one call; who sends a byte now and then never runs into it.
    """

    until_s: float

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_left_s(self.until_s))
        return super().recv_into(*args, **kwargs)


class _PunctualTlsSocket(ssl.SSLSocket):
    """The same for TLS, whose handshake as a whole has the timeout of the socket below."""

    until_s: float

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_left_s(self.until_s))
        return super().recv_into(*args, **kwargs)


def _connect(address: EngineAddress, until_s: float) -> socket.socket:
    if address.unix_path is not None:
        with walk(address.unix_path) as found:
            connected = _connect_to(socket.AF_UNIX, found.open_path, until_s)
        return _keep_if_owners(connected, [listener_uid(connected)], address.owner_uid)
    problem: OSError | None = None
    for family, _, _, _, place in socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM
    ):
        try:
            plain = _connect_to(family, place, until_s)
        except OSError as error:
            problem = error
            continue
        if address.host in LOOPBACK:
            plain = _keep_if_owners(plain, listeners(address.port), address.owner_uid)
        if address.tls is None:
            return plain
        with plain:
            encrypted = address.tls.wrap_socket(plain, server_hostname=address.host)
        assert isinstance(encrypted, _PunctualTlsSocket)  # noqa: S101
        encrypted.until_s = until_s
        return encrypted
    raise problem or OSError(f"{address.host} cannot be resolved")


def _keep_if_owners(
    connected: _PunctualSocket, uids: list[int], owner_uid: int | None
) -> _PunctualSocket:
    """Refuse to talk to any but the user whose engine it was found to be.

    Between that and now its owner may have put a link to another's socket in its
    place, or the port may have changed hands.

    Raises:
        UnfitAnswerError: Another user listens, or no one any more.
    """
    others = [
        uid for uid in uids if not (is_trusted_uid(uid) if owner_uid is None else uid == owner_uid)
    ]
    if uids and not others:
        return connected
    connected.close()
    whose = "root" if owner_uid is None else user_label(owner_uid)
    if not uids:
        raise UnfitAnswerError(f"no process of {whose}'s listens there any more")
    raise UnfitAnswerError(f"user {others[0]} now listens there, not {whose}")


def _connect_to(family: int, place: Any, until_s: float) -> _PunctualSocket:
    connected = _PunctualSocket(family, socket.SOCK_STREAM)
    try:
        connected.until_s = until_s
        connected.settimeout(_left_s(until_s))
        connected.connect(place)
    except BaseException:
        connected.close()
        raise
    return connected


def _listener_pid(connected: socket.socket) -> int | None:
    if connected.family != socket.AF_UNIX:
        return None
    return peer(connected)[0] or None


def _tls(certificates: str | None, *, verifies: bool, environ: Mapping[str, str]) -> ssl.SSLContext:
    directory = Path(certificates or Path(environ.get("HOME", "/root")) / ".docker")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = _PunctualTlsSocket
    if verifies:
        context.load_verify_locations(_readable(directory / "ca.pem"))
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificates or verifies:
        context.load_cert_chain(_readable(directory / "cert.pem"), _readable(directory / "key.pem"))
    return context


def _readable(path: Path) -> Path:
    # ssl does not say which file it is that is not there.
    os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    return path


def _read_body(response: http.client.HTTPResponse, until_s: float, most_bytes: int) -> bytes:
    if 300 <= response.status < 400:
        raise UnfitAnswerError("it sent a redirect, which no engine does")
    encoding = response.getheader("Content-Encoding", "identity")
    if encoding.strip().lower() not in ("", "identity"):
        raise UnfitAnswerError("it sent a compressed answer, which was not requested")
    body = bytearray()
    while piece := response.read1(_PIECE):
        body += piece
        if len(body) > most_bytes:
            raise UnfitAnswerError(f"its answer is longer than {most_bytes >> 10} KiB")
        # Many small pieces that are all there need no read that could time out.
        _left_s(until_s)
    return bytes(body)
