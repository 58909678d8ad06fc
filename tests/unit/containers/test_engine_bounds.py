"""What an engine answers has an end: in time, in bytes, in what becomes of them."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import socket
import ssl
import subprocess
import threading
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.containers import WEB_ID
from tests.support.engine_listener import OK, Speak, a_listener, answer, answering
from tests.support.require import require_program
from tracer.containers import docker, engines
from tracer.containers.docker import DockerEngine, EngineUnreachableError
from tracer.containers.engine_http import EngineAddress, UnfitAnswerError, exchange, parse_json
from tracer.containers.engines import Answers, ask_engines
from tracer.containers.paths import RuntimePaths

_NOT_FOR_EVER_S = 60.0
"""Where less than a second is promised, and the other end goes on for hours."""


# --- in time ------------------------------------------------------------------


def _drips_body(client: socket.socket, _path: str) -> None:
    client.sendall(OK + b"Content-Length: 1000000\r\n\r\n")
    while True:
        client.sendall(b" ")
        time.sleep(0.05)


def _drips_headers(client: socket.socket, _path: str) -> None:
    client.sendall(OK + b"X: ")
    while True:
        client.sendall(b"y")
        time.sleep(0.05)


def _drips_chunks(client: socket.socket, _path: str) -> None:
    client.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        client.sendall(b"1\r\nx\r\n")
        time.sleep(0.05)


def _continues(client: socket.socket, _path: str) -> None:
    while True:
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def _says_nothing(client: socket.socket, _path: str) -> None:
    client.recv(1)


_SLOW = {
    "says nothing": _says_nothing,
    "a byte of the body now and then": _drips_body,
    "a byte of a header now and then": _drips_headers,
    "a chunk now and then": _drips_chunks,
    "100 Continue without an end": _continues,
}


@pytest.mark.parametrize("kind", _SLOW)
def test_an_exchange_as_a_whole_has_an_end(tmp_path: Path, kind: str) -> None:
    with a_listener(tmp_path, _SLOW[kind]) as address:
        began_s = time.monotonic()
        with pytest.raises(TimeoutError):
            exchange(EngineAddress.parse(address, {}), "GET", "/", until_s=began_s + 0.3)
        assert time.monotonic() - began_s < _NOT_FOR_EVER_S


def _ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speakers: Sequence[Speak], within_s: float
) -> Answers:
    for module in (docker, engines):
        monkeypatch.setattr(module, "LISTING_TIMEOUT_S", within_s)
    with contextlib.ExitStack() as stack:
        addresses = []
        for number, speak in enumerate(speakers):
            directory = tmp_path / str(number)
            directory.mkdir()
            addresses.append(stack.enter_context(a_listener(directory, speak)))
        sockets = tuple(Path(address.removeprefix("unix://")) for address in addresses)
        return ask_engines(RuntimePaths(docker_sockets=sockets))


def test_engines_are_asked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # None says what it runs before all of them have been asked.
    are_asked = threading.Barrier(7)

    def speaker(number: int) -> Speak:
        answers = answering(listing=[{"Id": f"{number:064x}"}])

        def speak(client: socket.socket, path: str) -> None:
            if "/containers/json" in path:
                are_asked.wait(60)
            answers(client, path)

        return speak

    answers = _ask(tmp_path, monkeypatch, [speaker(number) for number in range(7)], 20.0)
    assert sorted(one.id for one in answers.found) == [f"{number:064x}" for number in range(7)]
    assert answers.unreachable == []


def test_engines_that_say_nothing_keep_no_other_from_being_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = answering(listing=[{"Id": WEB_ID}])
    answers = _ask(tmp_path, monkeypatch, [*[_says_nothing] * 7, good], 2.0)
    assert [one.id for one in answers.found] == [WEB_ID]
    assert [one.reason for one in answers.unreachable] == ["timed out"] * 7


def test_an_engine_that_failed_is_not_asked_again(tmp_path: Path) -> None:
    asked = []

    def speak(client: socket.socket, path: str) -> None:
        asked.append(path)
        answering(inspect=b"null")(client, path)

    with a_listener(tmp_path, speak) as address:
        engine = DockerEngine(address)
        for _ in range(3):
            with pytest.raises(EngineUnreachableError, match="not that of a Docker engine"):
                engine.inspect(WEB_ID)
    assert len(asked) == 2


# --- in bytes -----------------------------------------------------------------


def _endless_body(client: socket.socket, _path: str) -> None:
    client.sendall(OK + b"\r\n")
    while True:
        client.sendall(b" " * 65536)


def _endless_chunks(client: socket.socket, _path: str) -> None:
    client.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        client.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")


def _endless_headers(client: socket.socket, _path: str) -> None:
    client.sendall(OK)
    for number in itertools.count():
        client.sendall(b"X-%d: %s\r\n" % (number, b"y" * 60000))


def _endless_status(client: socket.socket, _path: str) -> None:
    while True:
        client.sendall(b"H" * 65536)


_BOMB = answer(gzip.compress(b" " * (64 << 20)), b"Content-Encoding: gzip\r\n")


def _compressed(client: socket.socket, _path: str) -> None:
    client.sendall(_BOMB)


def _redirects(client: socket.socket, _path: str) -> None:
    client.sendall(b"HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")


_MUCH = {
    "a body without an end": (_endless_body, "longer than"),
    "chunks without an end": (_endless_chunks, "longer than"),
    "headers without an end": (_endless_headers, "not HTTP"),
    "a status line without an end": (_endless_status, "not HTTP"),
    "compressed": (_compressed, "compressed"),
    "elsewhere": (_redirects, "redirect"),
}


@pytest.mark.parametrize("kind", _MUCH)
def test_an_answer_has_its_size(tmp_path: Path, kind: str) -> None:
    speak, said = _MUCH[kind]
    with a_listener(tmp_path, speak) as address:
        tracemalloc.start()
        try:
            with pytest.raises(UnfitAnswerError, match=said):
                exchange(
                    EngineAddress.parse(address, {}), "GET", "/", until_s=time.monotonic() + 20
                )
            assert tracemalloc.get_traced_memory()[1] < 32 << 20
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b"[" * 3_000 + b"]" * 3_000,
        b'{"a":' * 3_000 + b"1" + b"}" * 3_000,
        b"[" + b"{}," * 1_000_000 + b"{}]",
        b"[" + b"[]," * 1_000_000 + b"[]]",
        b"9" * 1_000_000,
        b"NaN",
        b"[Infinity]",
        b'"\xff"',
        b"",
    ],
)
def test_json_that_is_small_to_send_and_large_to_have_is_refused(body: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(UnfitAnswerError):
            parse_json(body)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_listing_of_two_thousand_containers_is_read(tmp_path: Path) -> None:
    labels = {f"org.example.label.{number}": "some value" for number in range(30)}
    listing = [
        {"Id": f"{number:064x}", "Names": [f"/web-{number}"], "State": "running", "Labels": labels}
        for number in range(2000)
    ]
    with a_listener(tmp_path, answering(listing=listing)) as address:
        found = DockerEngine(address, within_s=60).list_containers()
    assert [one.names for one in found] == [(f"web-{number}",) for number in range(2000)]


@pytest.mark.parametrize(
    "raw", [b"HTTP/1.1 99999 X\r\n\r\n", OK + b"\r\n\x1b[2J\n", answer(b"[]\n\n" + b"x\n" * 9)]
)
def test_what_is_said_of_an_odd_answer_is_one_line(tmp_path: Path, raw: bytes) -> None:
    with (
        a_listener(tmp_path, lambda client, _path: client.sendall(raw)) as address,
        pytest.raises(EngineUnreachableError) as caught,
    ):
        DockerEngine(address, within_s=60)
    assert caught.value.message.isprintable()


# --- over TLS -----------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, cert.pem and key.pem: one self-signed certificate for both ends."""
    directory = tmp_path_factory.mktemp("certificates")
    subprocess.run(
        [require_program("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes",
         "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", directory / "key.pem", "-out", directory / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    (directory / "ca.pem").write_bytes((directory / "cert.pem").read_bytes())
    return directory


def _server_side(certificates: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    context.load_verify_locations(certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _environ(certificates: Path, **more: str) -> dict[str, str]:
    return {"DOCKER_CERT_PATH": str(certificates), **more}


@pytest.mark.parametrize("verify", [{}, {"DOCKER_TLS_VERIFY": "1"}])
def test_an_engine_on_tcp_is_asked_over_tls(
    tmp_path: Path, certificates: Path, verify: dict[str, str]
) -> None:
    speak = answering(listing=[{"Id": WEB_ID}])
    with a_listener(tmp_path, speak, tls=_server_side(certificates)) as address:
        engine = DockerEngine(address, _environ(certificates, **verify), within_s=60)
        assert [one.id for one in engine.list_containers()] == [WEB_ID]


def test_another_ones_certificate_is_not_believed(
    tmp_path: Path, certificates: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    others = tmp_path_factory.mktemp("others")
    for name in ("cert.pem", "key.pem"):
        (others / name).write_bytes((certificates / name).read_bytes())
    subprocess.run(
        [require_program("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes",
         "-days", "2", "-subj", "/CN=other", "-keyout", "/dev/null", "-out", others / "ca.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    with (
        a_listener(tmp_path, answering(), tls=_server_side(certificates)) as address,
        pytest.raises(EngineUnreachableError, match="certificate"),
    ):
        DockerEngine(address, _environ(others, DOCKER_TLS_VERIFY="1"), within_s=60)


def test_who_drips_over_tls_is_left_in_time(tmp_path: Path, certificates: Path) -> None:
    with a_listener(tmp_path, _drips_body, tls=_server_side(certificates)) as address:
        began_s = time.monotonic()
        with pytest.raises(EngineUnreachableError, match="timed out"):
            DockerEngine(address, _environ(certificates), within_s=0.5)
        assert time.monotonic() - began_s < _NOT_FOR_EVER_S


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineUnreachableError, match=r"ca\.pem: No such file") as caught:
        DockerEngine(
            "tcp://127.0.0.1:1", {"DOCKER_CERT_PATH": str(tmp_path), "DOCKER_TLS_VERIFY": "1"}
        )
    assert str(tmp_path) in caught.value.message
