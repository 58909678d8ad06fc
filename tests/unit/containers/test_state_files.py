"""What the state of others may cost: each user's, and all users' together."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracer.containers import state_files
from tracer.containers.state_files import (
    ALL_USERS_LIMITS,
    ALL_USERS_S,
    USERS_LIMITS,
    Accounts,
    CommonAccount,
    open_state,
)

FIRST_UID = 100_000


def test_users_together_have_a_bound_and_one_line() -> None:
    accounts = Accounts()
    taken = 0
    for uid in range(FIRST_UID, FIRST_UID + 101):
        while accounts.of(uid).take_entry():
            taken += 1
    # What is asked for in vain is charged too.
    assert ALL_USERS_LIMITS.entries - 101 <= taken <= ALL_USERS_LIMITS.entries
    (note,) = accounts.notes
    assert "all other users together" in note
    # Root's is another account, and none of what they did is its business.
    assert accounts.of(None).take_entry()
    assert accounts.of(None).take_bytes(1 << 20)


def test_a_user_over_the_limit_is_named_and_costs_no_other_user() -> None:
    accounts = Accounts()
    while accounts.of(FIRST_UID).take_entry():
        pass
    (note,) = accounts.notes
    assert f"user {FIRST_UID}" in note
    assert accounts.of(FIRST_UID + 1).take_entry()


def test_their_bytes_have_a_bound_too() -> None:
    accounts = Accounts()
    read = 0
    for uid in range(FIRST_UID, FIRST_UID + 101):
        while accounts.of(uid).take_bytes(USERS_LIMITS.file_bytes):
            read += USERS_LIMITS.file_bytes
    assert read == ALL_USERS_LIMITS.total_bytes


def test_their_time_has_a_bound_that_begins_with_the_first_of_them() -> None:
    now_s = 1000.0
    account = CommonAccount(lambda: now_s)
    now_s += 50
    assert account.take(entries=1)
    now_s += ALL_USERS_S * 0.9
    assert account.take(entries=1)
    assert not account.is_over
    now_s += ALL_USERS_S * 0.2
    assert not account.take(entries=1)
    assert account.is_over


def test_a_directory_of_a_users_is_not_even_opened_once_it_is_used_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = Accounts()
    walked: list[Path] = []

    def walk(path: Path) -> None:
        walked.append(path)
        raise FileNotFoundError

    monkeypatch.setattr(state_files, "walk", walk)
    open_state(tmp_path, accounts, owner_uid=FIRST_UID)
    assert len(walked) == 1
    while accounts.of(FIRST_UID).take_entry():
        pass
    open_state(tmp_path, accounts, owner_uid=FIRST_UID)
    assert len(walked) == 1
