"""Docker, by its API, every answer bounded.

A process that can bind the socket can send any answer. What does not fit makes the engine
one that does not answer, which is one line among the other runtimes' containers.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote as quote_url
from urllib.parse import urlencode

from tracer.containers.docker_facts import read_inspected, read_listed, read_object, read_objects
from tracer.containers.engine_http import (
    MOST_BYTES,
    Answer,
    EngineAddress,
    UnfitAnswerError,
    exchange,
    quote,
)
from tracer.containers.engine_sockets import LISTING_TIMEOUT_S
from tracer.containers.found import FoundContainer
from tracer.errors import RuntimeUnreachableError, TargetNotFoundError

_INSPECT_TIMEOUT_S = 0.5
_INSPECT_TO_STOP_TIMEOUT_S = 10.0
"""Only the stop waits for this."""
_OTHER_USERS_TIMEOUT_S = 1.0
"""For all requests to another user's engine together."""
_TOTAL_TIMEOUT_S = 10.0
"""The same for root's or our own: a thousand containers are inspected one by one."""
_OTHER_USERS_BYTES = 256 << 10
_STOP_TIMEOUT_S = 60.0
"""How much longer than the grace period a stop may take: time for the kill."""
_NO_TIMEOUT_S = 365 * 86400.0
_DEFAULT_GRACE_S = 10
"""What Docker gives a container that does not say (daemon/stop.go)."""
_VERSION = re.compile(r"\d{1,3}\.\d{1,3}", re.ASCII)


class DockerEngine:
    """A Docker engine that accepts connections.

    After a request without an answer it is not queried again. There is also a time limit
    for all requests together: it may have many containers and be slow with each.

    Args:
        address: ``unix:///...`` or ``tcp://...``.
        environ: Where a TLS set-up (``DOCKER_TLS_VERIFY``, ``DOCKER_CERT_PATH``) is
            read from for tcp.
        within_s: How long it may take to say who it is, and to list for the first
            time; :data:`LISTING_TIMEOUT_S` unless given.
        owner_uid: Whose engine it is; None: root's, or our own. If it turns out to be
            another's it does not answer.

    Attributes:
        listener_pid: Who made its socket: the engine, or what starts it on demand.

    Raises:
        RuntimeUnreachableError: It does not answer as an engine would.
    """

    def __init__(
        self,
        address: str,
        environ: Mapping[str, str] = os.environ,
        *,
        within_s: float | None = None,
        owner_uid: int | None = None,
    ) -> None:
        self.address = address
        self._failure: str | None = None
        is_ours = owner_uid is None
        self._left_s = _TOTAL_TIMEOUT_S if is_ours else _OTHER_USERS_TIMEOUT_S
        self._most_bytes = MOST_BYTES if is_ours else _OTHER_USERS_BYTES
        within_s = LISTING_TIMEOUT_S if within_s is None else within_s
        self._first_until_s = time.monotonic() + within_s
        with self._asking():
            self._where = EngineAddress.parse(address, environ, owner_uid)
            answer = self._get("/version", within_s=within_s)
            facts = read_object(answer.json())
            version = facts.get("ApiVersion")
            if not isinstance(version, str) or not _VERSION.fullmatch(version):
                raise UnfitAnswerError("its ApiVersion is not a version")
            self._prefix = f"/v{version}"
            self.listener_pid = answer.listener_pid

    def list_containers(self, *, stopped: bool = False) -> list[FoundContainer]:
        """List the running containers, or all; without what only inspecting shows."""
        with self._asking():
            query = urlencode({"all": int(stopped)})
            within_s = LISTING_TIMEOUT_S if stopped else self._first_until_s - time.monotonic()
            answer = self._get(f"{self._prefix}/containers/json?{query}", within_s=within_s)
            return [read_listed(entry, self.address) for entry in read_objects(answer.json())]

    def inspect(self, container_id: str, *, within_s: float = _INSPECT_TIMEOUT_S) -> FoundContainer:
        """Ask for all of one container.

        Args:
            container_id: A full id, as the engine itself gave it.
            within_s: How long that may take.

        Raises:
            TargetNotFoundError: It is gone.
        """
        with self._asking():
            answer = self._get(self._path(container_id, "json"), within_s=within_s)
            if answer.status == 404:
                raise TargetNotFoundError(
                    f"container {container_id[:12]} was removed while it was being looked up"
                )
            found = read_inspected(read_object(answer.json()), self.address)
            if found.id != container_id:
                raise UnfitAnswerError("it described a different container than requested")
            return found

    def stop(self, container_id: str, grace_s: float | None) -> None:
        """Stop a container as ``docker stop`` does, and return when it is stopped.

        Args:
            container_id: The full id.
            grace_s: Between stop signal and SIGKILL, s, rounded up to whole ones;
                None for what the container or the engine has configured.
        """
        configured = self.inspect(container_id, within_s=_INSPECT_TO_STOP_TIMEOUT_S).stop_timeout_s
        waits_s = grace_s if grace_s is not None else (configured or _DEFAULT_GRACE_S)
        query = "" if grace_s is None else f"?t={math.ceil(grace_s)}"
        within_s = _NO_TIMEOUT_S if waits_s < 0 else _STOP_TIMEOUT_S + math.ceil(waits_s)
        with self._asking():
            answer = exchange(
                self._where,
                "POST",
                self._path(container_id, "stop") + query,
                until_s=time.monotonic() + within_s,
                most_bytes=self._most_bytes,
            )
            # 304: it was stopped already.
            if answer.status == 404:
                raise TargetNotFoundError(f"no such container: {container_id[:12]}")
            if answer.status != 304:
                _check_status(answer)

    def events(
        self,
        container_ids: Sequence[str],
        since_unix_ns: int,
        until_unix_ns: int,
        *,
        within_s: float,
    ) -> list[dict[str, Any]]:
        """List what happened to some containers, as the API reports it.

        Units:
            CLOCK_REALTIME, ns; ``until_unix_ns`` must not lie in the future, as
            the engine would wait for it.
        """
        query = urlencode(
            {
                "since": _api_time(since_unix_ns),
                "until": _api_time(until_unix_ns),
                "filters": json.dumps({"type": ["container"], "container": list(container_ids)}),
            }
        )
        with self._asking():
            answer = self._get(f"{self._prefix}/events?{query}", within_s=within_s)
            # Objects one after the other: commas make them one text to be parsed.
            lines = b",".join(line for line in answer.body.splitlines() if line)
            return read_objects(Answer(answer.status, b"[" + lines + b"]").json())

    def _path(self, container_id: str, last: str) -> str:
        return f"{self._prefix}/containers/{quote_url(container_id, safe='')}/{last}"

    def _get(self, target: str, *, within_s: float) -> Answer:
        began_s = time.monotonic()
        try:
            answer = exchange(
                self._where,
                "GET",
                target,
                until_s=began_s + min(within_s, self._left_s),
                most_bytes=self._most_bytes,
            )
        finally:
            self._left_s -= time.monotonic() - began_s
        if answer.status != 404 or not target.endswith("/json"):
            _check_status(answer)
        return answer

    @contextmanager
    def _asking(self) -> Iterator[None]:
        if self._failure is not None:
            raise EngineUnreachableError(self.address, self._failure)
        try:
            yield
        except (UnfitAnswerError, OSError, ValueError) as error:
            self._failure = _reason(error)
            raise EngineUnreachableError(self.address, self._failure) from error


class EngineUnreachableError(RuntimeUnreachableError):
    """An engine does not answer, or not as one would.

    Args:
        address: Its own.
        reason: In what way.
    """

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(
            f"the Docker engine at {address} did not answer: {reason}",
            hint="check whether `docker ps` works; container ids can be found without the engine",
        )
        self.reason = reason


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, OSError) and error.strerror:
        file = f"{error.filename}: " if error.filename else ""
        return f"{file}{error.strerror}"
    return quote(str(error))


def _check_status(answer: Answer) -> None:
    if 200 <= answer.status < 300:
        return
    try:
        said = read_object(answer.json()).get("message")
    except UnfitAnswerError:
        said = None
    words = f": {quote(said)}" if isinstance(said, str) and said else ""
    raise UnfitAnswerError(f"it refused the request (status {answer.status}){words}")


def _api_time(unix_ns: int) -> str:
    return f"{unix_ns // 1_000_000_000}.{unix_ns % 1_000_000_000:09d}"
