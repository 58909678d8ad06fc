"""Command lines that are shown hold no secret, and otherwise read as they were typed."""

from __future__ import annotations

import shlex

import pytest

from tests.support.secret_lines import is_script, lines_of, secretive_lines
from tracer.masking.masking import mask_text, mask_words, show_command

SECRETIVE = secretive_lines()


def test_there_are_many_of_each() -> None:
    assert len({line for line, _ in SECRETIVE}) >= 300
    assert len(lines_of("innocent.txt")) >= 100


@pytest.mark.parametrize(("line", "secrets"), SECRETIVE)
def test_no_secret_of_an_argument_list_is_shown(line: str, secrets: tuple[str, ...]) -> None:
    words = ["sh", "-c", line] if is_script(line) else shlex.split(line)
    for form in (words, ["sudo", *words], ["docker", "exec", "-it", "web", *words]):
        shown = show_command(form)
        assert not [secret for secret in secrets if secret in shown]


@pytest.mark.parametrize(("line", "secrets"), SECRETIVE)
def test_no_secret_of_a_script_is_shown(line: str, secrets: tuple[str, ...]) -> None:
    for words in (["sh", "-c", line], ["bash", "-lc", f"set -e; exec {line}"], ["ssh", "h", line]):
        shown = show_command(words)
        assert not [secret for secret in secrets if secret in shown]


@pytest.mark.parametrize(("line", "secrets"), secretive_lines(quoted=False))
def test_no_secret_is_shown_from_an_engines_events(line: str, secrets: tuple[str, ...]) -> None:
    # It joins the arguments with blanks, and what was quoted is so no more.
    joined = line if is_script(line) else " ".join(shlex.split(line))
    for text in (joined, f"/bin/sh -c {joined}"):
        assert not [secret for secret in secrets if secret in mask_text(text)]


@pytest.mark.parametrize("line", lines_of("innocent.txt"))
def test_what_holds_no_secret_is_shown_as_it_is(line: str) -> None:
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    assert mask_words(words) == tuple(words)
    joined = " ".join(words)
    assert mask_text(joined) == (joined if len(joined) <= 200 else f"{joined[:197]}...")
    assert mask_words(["sh", "-c", line]) == ("sh", "-c", line)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["kill", "-9", "4711"], "kill -9 4711"),
        (["app", "--password", "hunter2", "--port", "80"], "app --password *** --port 80"),
        (["app", "--token", "--next"], "app --token --next"),
        (["app", "--token", "-hunter2"], "app --token ***"),
        (["env", "DB_PASSWORD=x y", "run"], "env DB_PASSWORD=*** run"),
        (["env", "AWS_SECRET_ACCESS_KEY=abc/def"], "env AWS_SECRET_ACCESS_KEY=***"),
        (["java", "-Dapi.key=k", "-Xmx1g"], "java -Dapi.key=*** -Xmx1g"),
        (["curl", "-u", "me:pw", "http://h/"], "curl -u me:*** http://h/"),
        (["curl", "-H", "Authorization: Bearer abc.def"], "curl -H Authorization: ***"),
        (["git", "clone", "https://u:p@h/x.git"], "git clone https://***@h/x.git"),
        (["curl", "https://h/a?token=1&b=2"], "curl https://h/a?token=***&b=2"),
        (["mysql", "-uroot", "-phunter2"], "mysql -uroot -p***"),
        (["sh", "-c", "PASSWORD=x exec server"], "sh -c PASSWORD=*** exec server"),
        (["sh", "-c", 'mysql "-phunter2" a && curl -u b:c http://h'],
         'sh -c mysql "-p***" a && curl -u b:*** http://h'),
        (["sh", "-c", 'exec mysql "$@"', "sh", "-phunter2"], 'sh -c exec mysql "$@" sh -p***'),
        (["mysql", "-pa;b", "shop"], "mysql -p*** shop"),
        (["app", "-----BEGIN PRIVATE KEY-----\nMIIC\n-----END PRIVATE KEY-----"], "app ***"),
        ([], ""),
    ],
)  # fmt: skip
def test_what_is_shown_of_a_line_with_a_secret(words: list[str], shown: str) -> None:
    assert show_command(words) == shown


def test_a_secret_with_signs_of_the_shell_in_it_is_not_reported_in_part() -> None:
    assert mask_text("mysql -phun;ter2 shop") == "mysql -p*** shop"
    assert mask_text("mysql -phun;;ter2; ls") == "mysql -p***; ls"
    assert mask_text("(mysql -phunter2) && ls") == "(mysql -p***) && ls"


def test_a_script_in_a_script_too_deep_is_not_shown_at_all() -> None:
    text = "mysql -phunter2"
    for _ in range(8):
        text = shlex.join(["sh", "-c", text])
    assert "hunter2" not in show_command(shlex.split(text))


def test_a_secret_whose_telling_end_is_cut_off_is_not_shown() -> None:
    for begin in ("postgres://u:", "u:"):
        shown = show_command(["app", f"{begin}hunter2{'x' * 5000}@h/d"])
        assert "hunter2" not in shown


def test_long_command_lines_are_cut() -> None:
    shown = show_command(["cat", *["file"] * 100])
    assert len(shown) == 200
    assert shown.endswith("...")
    assert mask_words(["a"] * 1000)[-1] == "..."
    assert len("".join(mask_words(["x y " * 1000] * 100))) < 5000


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        # No digit, no capital: it is known by its beginning alone.
        ("sk-correcthorsebattery", "***"),
        ("key=sk-correcthorsebattery", "key=***"),
        ("sk-correct", "sk-correct"),
        ("task-correcthorsebattery", "task-correcthorsebattery"),
    ],
)
def test_a_token_is_known_by_its_beginning_where_that_begins_a_word(word: str, shown: str) -> None:
    assert show_command(["app", "run", word]) == f"app run {shown}"
