"""Command lines that are shown hold no secrets that look like some."""

from __future__ import annotations

import pytest

from tracer.session.masking import show_command


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["kill", "-9", "4711"], "kill -9 4711"),
        (["app", "--password=hunter2"], "app --password=***"),
        (["app", "--password", "hunter2", "--port", "80"], "app --password *** --port 80"),
        (["app", "--token", "--next"], "app --token --next"),
        (["env", "DB_PASSWORD=x y", "run"], "env DB_PASSWORD=*** run"),
        (["env", "AWS_SECRET_ACCESS_KEY=abc/def"], "env AWS_SECRET_ACCESS_KEY=***"),
        (["java", "-Dapi.key=k", "-Xmx1g"], "java -Dapi.key=k -Xmx1g"),
        (["java", "-Dmy.api_key=k"], "java -Dmy.api_key=***"),
        (["curl", "-u", "me:pw", "http://h/"], "curl -u me:*** http://h/"),
        (["curl", "-H", "Authorization: Bearer abc.def"], "curl -H Authorization: ***"),
        (["git", "clone", "https://u:p@h/x.git"], "git clone https://***@h/x.git"),
        (["curl", "https://h/a?token=1&b=2"], "curl https://h/a?token=***&b=2"),
        (["mysql", "-uroot", "-phunter2"], "mysql -uroot -p***"),
        (["ssh", "-p22", "host"], "ssh -p22 host"),
        (["x", "AKIAIOSFODNN7EXAMPLE"], "x ***"),
        (["x", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"], "x ***"),
        (["x", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"], "x ***"),
        (["x", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY01"], "x ***"),
        (["sh", "-c", "PASSWORD=x exec server"], "sh -c PASSWORD=***"),
        (["docker", "kill", "a" * 8 + "0" * 56], f"docker kill {'a' * 8}{'0' * 56}"),
        (["/usr/lib/Some/Very/Long/Path/With1/Many2/Parts3/in4/it5"],
         "/usr/lib/Some/Very/Long/Path/With1/Many2/Parts3/in4/it5"),
        ([], ""),
    ],
)  # fmt: skip
def test_secrets_are_masked_and_the_rest_stays(words: list[str], shown: str) -> None:
    assert show_command(words) == shown


def test_long_command_lines_are_cut() -> None:
    shown = show_command(["cat", *["file"] * 100])
    assert len(shown) == 200
    assert shown.endswith("...")
