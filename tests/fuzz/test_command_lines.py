"""Command lines that anybody can give a process: masked in no time, and no secret shown."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import line_masker
from tests.fuzz.bounds import WHOLE_RUN, Worker, cases
from tests.support.secret_lines import is_script, secretive_lines

pytestmark = WHOLE_RUN
LONGEST_WORD = 131_072
"""MAX_ARG_STRLEN."""
SIGNS = st.text("'\"\\$(){}`&|;<>=:@/%?-. \n\t\0aA1\xe9\u65e5\udcff", max_size=12)
WORDS = st.sampled_from([
    "mysql", "sh", "-c", "sudo", "env", "-p", "-u", "--", "password", "token=", "PGPASSWORD=",
    "Authorization: Bearer ", "https://u:p@h/", "docker", "exec", "ssh", "echo", "|", "<<<", "{",
    "[", '{"password":"', "-----BEGIN PRIVATE KEY-----", "eval", "xargs", "find", "-exec", ";",
    "$(", "",
])  # fmt: skip
BEFORE = st.sampled_from([
    ["sudo"], ["sudo", "-u", "web", "--"], ["env", "A=b"], ["/usr/bin/env", "-i"],
    ["nice", "-n", "5"], ["docker", "exec", "-it", "web"], ["kubectl", "exec", "web", "--"],
    ["timeout", "-k", "5", "60"],
    ["nsenter", "-t", "1", "-m"], ["setsid"], ["nohup"], ["exec"], ["tini", "--"], ["chroot", "/x"],
    ["time"], ["stdbuf", "-oL"], ["flock", "/run/x"], ["unshare", "-p"], ["busybox"],
    ["ionice", "-c3"],
])  # fmt: skip
SHELLS = st.sampled_from([["sh", "-c"], ["bash", "-lc"], ["/bin/sh", "-ec"], ["ssh", "host"]])


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """One for all."""
    with Worker(line_masker.__name__) as worker:
        yield worker


@cases(500)
@given(
    words=st.lists(WORDS | SIGNS, min_size=1, max_size=12),
    longer=st.sampled_from([1, 1, 7, 400, LONGEST_WORD // 12]),
    more=st.sampled_from([1, 1, 99, 5_000]),
)
def test_any_words_are_masked_in_no_time(
    worker: Worker, words: list[str], longer: int, more: int
) -> None:
    number = more if longer == 1 else 1
    case = {"words": words, "longer": longer, "more": number, "secrets": []}
    assert worker.look(case) == "read"


@cases(700)
@given(
    said=st.sampled_from(secretive_lines()),
    before=st.lists(BEFORE, max_size=2),
    shell=st.none() | SHELLS,
    after=st.lists(SIGNS.filter(lambda text: "\0" not in text), max_size=3),
)
def test_no_secret_is_shown_whatever_runs_the_command(
    worker: Worker,
    said: tuple[str, tuple[str, ...]],
    before: list[list[str]],
    shell: list[str] | None,
    after: list[str],
) -> None:
    line, secrets = said
    if shell is not None:
        words = [*shell, line, *after]
    elif is_script(line):
        words = ["sh", "-c", line, *after]
    else:
        words = [*shlex.split(line), *after]
    words = [word for some in before for word in some] + words
    case = {"words": words, "longer": 1, "more": 1, "secrets": list(secrets)}
    assert worker.look(case) == "read"
