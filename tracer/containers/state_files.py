"""Runtimes' state directories, some of which other users write.

Every directory has an owner (:mod:`tracer.trust.walk`). In root's own the
bounds only catch what is broken; each other user has an account that ends after a
few hundred entries and some megabytes, so that no user's state costs more than a
moment, or hides another user's.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tracer.trust.users import user_label
from tracer.trust.walk import OwnedPath, is_trusted_uid, walk

PID_MAX = 1 << 22
"""The kernel's own bound (PID_MAX_LIMIT)."""
_MOST_TICKS = 1 << 63
_LONGEST_PATH = 4096
_TOO_MANY_USERS = (
    "the container state of all other users together is too large: part of it was not read;"
    " root's was read first"
)
_PATH_COST = 4
"""A path to walk from the root costs as much as some entries of a directory."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of one owner's state is read.

    Args:
        entries: Directory entries looked at.
        file_bytes: A file longer than this is not read.
        total_bytes: Of all its files together.
    """

    entries: int
    file_bytes: int
    total_bytes: int


ROOTS_LIMITS = Limits(entries=65536, file_bytes=16 << 20, total_bytes=512 << 20)
USERS_LIMITS = Limits(entries=512, file_bytes=1 << 20, total_bytes=2 << 20)
ALL_USERS_LIMITS = Limits(entries=4096, file_bytes=1 << 20, total_bytes=16 << 20)
"""Of all users but root together: a host may have thousands, each with an account."""
ALL_USERS_S = 1.0
"""And for so long."""


class CommonAccount:
    """What the state of all users but root has cost so far, and for how long it was read.

    Args:
        clock: Tells monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends_s: float | None = None
        self._entries_left = ALL_USERS_LIMITS.entries
        self._bytes_left = ALL_USERS_LIMITS.total_bytes
        self.is_over = False

    def take(self, *, entries: int = 0, size: int = 0) -> bool:
        """Account for entries or bytes; False from the first on for which there is no room."""
        now_s = self._clock()
        if self._ends_s is None:
            # Root's own was read before, and does not count.
            self._ends_s = now_s + ALL_USERS_S
        self._entries_left -= entries
        self._bytes_left -= size
        self.is_over |= now_s > self._ends_s or min(self._entries_left, self._bytes_left) < 0
        return not self.is_over


class Account:
    """What one owner's state has cost so far.

    Args:
        owner_uid: See :class:`tracer.trust.walk.OwnedPath`.
        common: What it is charged to besides, or None.
    """

    def __init__(self, owner_uid: int | None, common: CommonAccount | None = None) -> None:
        self.limits = ROOTS_LIMITS if owner_uid is None else USERS_LIMITS
        self._owner_uid = owner_uid
        self._common = common
        self._entries_left = self.limits.entries
        self._bytes_left = self.limits.total_bytes
        self.is_over = False

    @property
    def note(self) -> str | None:
        """Say that not all was read, if that is so."""
        if not self.is_over:
            return None
        whose = "root" if self._owner_uid is None else user_label(self._owner_uid)
        return f"the container state of {whose} is too large: part of it was not read"

    def take_entry(self, cost: int = 1) -> bool:
        """Account for a directory entry; False once there were too many."""
        if self._common is not None and not self._common.take(entries=cost):
            return False
        self._entries_left -= cost
        self.is_over |= self._entries_left < 0
        return self._entries_left >= 0

    def take_bytes(self, count: int) -> bool:
        """Account for a file of that size; False if it is too much."""
        if count > min(self.limits.file_bytes, self._bytes_left):
            self.is_over = True
            return False
        if self._common is not None and not self._common.take(size=count):
            return False
        self._bytes_left -= count
        return True


class Accounts:
    """One account an owner, for one survey of the host."""

    def __init__(self) -> None:
        self._by_owner: dict[int | None, Account] = {}
        self._users = CommonAccount()
        self.podman_names: dict[tuple[Path, int | None], dict[str, tuple[str, ...]]] = {}
        """Storages that were read already: many containers name the same one."""

    def of(self, owner_uid: int | None) -> Account:
        """The account of an owner."""
        if owner_uid not in self._by_owner:
            common = None if owner_uid is None else self._users
            self._by_owner[owner_uid] = Account(owner_uid, common)
        return self._by_owner[owner_uid]

    @property
    def notes(self) -> list[str]:
        """Whose state was not read to its end."""
        notes = [one.note for one in self._by_owner.values() if one.note is not None]
        if not self._users.is_over:
            return notes
        # One line, however many users there are.
        roots = [note for note in (self.of(None).note,) if note is not None]
        return [
            *roots,
            _TOO_MANY_USERS,
        ]


class StateDirectory:
    """A directory that is there and has one known owner; use it in ``with``.

    Attributes:
        owner_uid: Who decides what is in it, None for root (or ourselves).
    """

    def __init__(self, found: OwnedPath, owner_uid: int | None, accounts: Accounts) -> None:
        self._found = found
        self._accounts = accounts
        self._account = accounts.of(owner_uid)
        self.owner_uid = owner_uid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._found.close()

    def names(self) -> list[str]:
        """List what is in it, as far as its owner's account goes."""
        names: list[str] = []
        try:
            fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._found.fd)
        except OSError:
            return names
        try:
            with os.scandir(fd) as entries:
                for entry in entries:
                    if not self._account.take_entry():
                        break
                    names.append(entry.name)
        except OSError:
            pass
        finally:
            os.close(fd)
        return sorted(names)

    def enter(self, name: str) -> StateDirectory | None:
        """Open a directory in it; None where there is none that its owner made."""
        found = self._enter(name)
        if found is None:
            return None
        if not stat.S_ISDIR(found.facts.st_mode):
            found.close()
            return None
        return StateDirectory(found, self.owner_uid, self._accounts)

    def read_text(self, name: str) -> str | None:
        """Read a regular file of its owner's and of sane size; None for whatever else it may be.

        What another user put there may be a pipe without a writer, a link to
        somewhere, or without end.
        """
        found = self._enter(name)
        if found is None:
            return None
        with found:
            facts = found.facts
            is_owners = (
                is_trusted_uid(facts.st_uid)
                if self.owner_uid is None
                else facts.st_uid == self.owner_uid
            )
            if not (is_owners and stat.S_ISREG(facts.st_mode)):
                return None
            if not self._account.take_bytes(facts.st_size):
                return None
            try:
                fd = os.open(
                    f"/proc/self/fd/{found.fd}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
                )
                with os.fdopen(fd, "rb") as file:
                    return file.read(facts.st_size).decode("utf-8", "replace")
            except OSError:
                return None

    def read_json(self, name: str) -> Any:
        """Read a JSON file the same way; None when it is gone or half-written."""
        text = self.read_text(name)
        if text is None:
            return None
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return None

    def _enter(self, name: str) -> OwnedPath | None:
        try:
            found = self._found.enter(name)
        except (OSError, ValueError):
            return None
        if found.owner_uid not in {None, self.owner_uid}:
            # In a directory of root's, what another user has is not root's word.
            found.close()
            return None
        return found


def open_state(
    path: Path, accounts: Accounts, *, owner_uid: int | None = None
) -> StateDirectory | None:
    """Open a state directory; None where it is not there, or cannot be trusted.

    Args:
        path: Where it is.
        accounts: What reading it is charged to.
        owner_uid: Its owner, by its location (``/run/user/UID``); None: the
            directory's own owner.
    """
    if owner_uid is not None and not accounts.of(owner_uid).take_entry(_PATH_COST):
        return None
    try:
        found = walk(path)
    except (OSError, ValueError):
        return None
    owner = found.owner_uid if owner_uid is None else owner_uid
    if found.owner_uid not in {None, owner} or not stat.S_ISDIR(found.facts.st_mode):
        found.close()
        return None
    return StateDirectory(found, owner, accounts)


def open_state_of(path: str, accounts: Accounts, owner_uid: int | None) -> StateDirectory | None:
    """Open a directory that a user's state names, if it is that user's own.

    A user's state that names a directory of root's must not make us read it, and
    what a user writes is no word of root's because root's state points there.
    """
    if len(path) > _LONGEST_PATH or not accounts.of(owner_uid).take_entry(_PATH_COST):
        return None
    try:
        found = walk(path, is_local=owner_uid is not None)
    except (OSError, ValueError):
        return None
    if found.owner_uid != owner_uid or not stat.S_ISDIR(found.facts.st_mode):
        found.close()
        return None
    return StateDirectory(found, owner_uid, accounts)


def list_directory(path: Path) -> list[str]:
    """List a directory of root's; empty when it is another user's or not there."""
    directory = open_state(path, Accounts())
    if directory is None:
        return []
    with directory:
        return directory.names() if directory.owner_uid is None else []


def get_object(value: Any, *keys: str) -> dict[str, Any]:
    """Follow keys into JSON objects; empty where one is missing or no object."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def get_list(value: Any, key: str) -> list[Any]:
    """Get a list of a JSON object, else an empty one."""
    items = value.get(key) if isinstance(value, dict) else None
    return items if isinstance(items, list) else []


def get_strings(value: Any) -> dict[str, str]:
    """Keep those pairs of a JSON object that are strings."""
    pairs = value.items() if isinstance(value, dict) else ()
    return {key: text for key, text in pairs if isinstance(text, str)}


def get_number(value: Any, key: str, *, most: int = _MOST_TICKS) -> int | None:
    """Get a positive whole number of a JSON object, else None.

    Args:
        value: The object.
        key: Which of its values.
        most: More than this is no such number either.
    """
    number = value.get(key) if isinstance(value, dict) else None
    return number if type(number) is int and 0 < number <= most else None
