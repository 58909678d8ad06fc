"""The Docker engines of a host: root's, and its users' own."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tracer.containers.engine_sockets import (
    LISTING_TIMEOUT_S,
    LOOPBACK,
    listener_uid,
    listeners,
    probe_engines,
)
from tracer.containers.found import FoundContainer, UnreachableEngine
from tracer.containers.paths import EngineSocket, RuntimePaths
from tracer.trust.walk import PathRefusedError, is_trusted_uid, walk

if TYPE_CHECKING:
    from tracer.containers.docker import DockerEngine

_UNIX = "unix://"
_MOST_USERS_ENGINES = 16
_CONNECT_TIMEOUT_S = 1.0


@dataclass(slots=True)
class Answers:
    """What engines said.

    Args:
        found: Their running containers, without what only inspecting shows.
        unreachable: Those that are there and could not be asked.
        engines: Those that answered, by address and whose they are.
    """

    found: list[FoundContainer] = field(default_factory=list)
    unreachable: list[UnreachableEngine] = field(default_factory=list)
    engines: dict[tuple[str, int | None], DockerEngine] = field(default_factory=dict)


def ask_engines(paths: RuntimePaths) -> Answers:
    """Ask every engine for what it runs.

    All are asked at once: one that hangs takes no time from another.
    """
    answers = Answers()
    roots: list[Path] = []
    users: dict[str, tuple[int, bool]] = {}
    docker_host = paths.docker_host
    if docker_host is not None:
        owner = _owner_or_complaint(docker_host, None, answers)
        if owner is not None and owner.uid is not None:
            users[docker_host] = (owner.uid, True)
        if owner is None or owner.uid is not None:
            docker_host = None
    for candidate in (*(EngineSocket(path) for path in paths.docker_sockets), *paths.user_sockets):
        address = f"{_UNIX}{candidate.path}"
        owner = _owner_or_complaint(address, candidate, answers)
        if owner is None:
            continue
        if owner.uid is None:
            roots.append(candidate.path)
        elif len(users) < _MOST_USERS_ENGINES:
            users.setdefault(address, (owner.uid, False))
        else:
            answers.unreachable.append(
                UnreachableEngine(address, "too many users run engines", None, owner.uid)
            )
    questions = [
        _Question(address, uid, partial(_probe_one, address, is_demanded=is_demanded))
        for address, (uid, is_demanded) in users.items()
    ]
    listening, unreachable = probe_engines(docker_host, tuple(roots))
    answers.unreachable += unreachable
    questions += [_Question(address, None) for address in listening]
    until_s = time.monotonic() + LISTING_TIMEOUT_S + 0.1
    for question in questions:
        question.add_to(answers, until_s)
    return answers


def _probe_one(address: str, *, is_demanded: bool) -> list[UnreachableEngine]:
    path = () if is_demanded else (Path(address.removeprefix(_UNIX)),)
    return probe_engines(address if is_demanded else None, path)[1]


class _Question(threading.Thread):
    """What one engine lists, asked from a thread of its own: it may hang.

    Args:
        address: Where it listens.
        owner_uid: Whose it is; None for root's and our own.
        probe: Says what keeps it from being asked; may take its time too.
    """

    def __init__(
        self,
        address: str,
        owner_uid: int | None,
        probe: Callable[[], list[UnreachableEngine]] = list,
    ) -> None:
        super().__init__(name="engine", daemon=True)
        self._address = address
        self._owner_uid = owner_uid
        self._probe = probe
        self._answers = Answers()
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Probe it, list its containers."""
        try:
            self._answers.unreachable = [
                replace(one, owner_uid=self._owner_uid) for one in self._probe()
            ]
            if not self._answers.unreachable:
                self._list()
        except BaseException as error:  # noqa: BLE001 - raised by who waits for it
            self._error = error

    def _list(self) -> None:
        # Loading the client takes a while: only where there is an engine.
        from tracer.containers.docker import DockerEngine, EngineUnreachableError

        try:
            engine = DockerEngine(self._address, owner_uid=self._owner_uid)
            listing = engine.list_containers()
        except EngineUnreachableError as error:
            problem = UnreachableEngine(self._address, error.reason, error.hint, self._owner_uid)
            self._answers.unreachable.append(problem)
            return
        self._answers.found = [replace(one, owner_uid=self._owner_uid) for one in listing]
        self._answers.engines[self._address, self._owner_uid] = engine

    def add_to(self, answers: Answers, until_s: float) -> None:
        """Add what it said, if it did by then."""
        self.join(max(0.0, until_s - time.monotonic()))
        if self._error is not None and self._owner_uid is None:
            raise self._error
        if self.is_alive() or self._error is not None:
            # Whatever another user's engine answers, we go on.
            reason = "timed out" if self._error is None else type(self._error).__name__
            problem = UnreachableEngine(self._address, reason, None, self._owner_uid)
            answers.unreachable.append(problem)
            return
        answers.found += self._answers.found
        answers.unreachable += self._answers.unreachable
        answers.engines |= self._answers.engines


@dataclass(frozen=True, slots=True)
class _Owner:
    uid: int | None


def _owner_or_complaint(
    address: str, candidate: EngineSocket | None, answers: Answers
) -> _Owner | None:
    """Whose engine listens there; None where there is none, or none to trust.

    Args:
        address: Where it listens.
        candidate: None for an address the user asked for, which has to be there.
        answers: Takes the complaint.
    """
    try:
        if not address.startswith(_UNIX):
            return _Owner(_tcp_listener(address))
        return _Owner(_unix_owner(address.removeprefix(_UNIX), candidate))
    except PathRefusedError as error:
        if candidate is None or candidate.owner_uid is None:
            answers.unreachable.append(
                UnreachableEngine(address, f"its answers are not trusted: {error.reason}")
            )
        return None
    except (OSError, ValueError):
        # It is not there, which matters where the user wants it: asking it shows that.
        return _Owner(None) if candidate is None else None


def _unix_owner(path: str, candidate: EngineSocket | None) -> int | None:
    """The user of a socket: by its location, by its owner, or by the listening process."""
    with walk(path) as found:
        by_place = found.owner_uid if candidate is None else candidate.owner_uid
        by_place = found.owner_uid if by_place is None else by_place
        if found.owner_uid not in {None, by_place}:
            raise PathRefusedError(
                path, f"user {found.owner_uid} owns it, but it is where user {by_place}'s would be"
            )
        if by_place is not None:
            return by_place
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client,
        ):
            client.settimeout(_CONNECT_TIMEOUT_S)
            client.connect(found.open_path)
            listener = listener_uid(client)
            return None if is_trusted_uid(listener) else listener
    return None


def _tcp_listener(address: str) -> int | None:
    """Whose process listens on a local port, where that is another user's."""
    parts = urlsplit(address)
    is_here = parts.port is not None and parts.hostname in LOOPBACK
    for uid in listeners(parts.port or 0) if is_here else ():
        if not is_trusted_uid(uid):
            return uid
    return None
