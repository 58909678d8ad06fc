"""Option values: what is accepted, and the one clear line for what is not."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from tracer.cli import ending
from tracer.cli.main import cli, run
from tracer.cli.record import Rotation
from tracer.cli.value_types import CodeList, Seconds, SignalList, SignalName, split_commas
from tracer.errors import UsageError
from tracer.model.verdicts import FINDING_KINDS


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10", 10.0),
        ("1.5", 1.5),
        ("500ms", 0.5),
        ("2m", 120.0),
        ("1h", 3600.0),
        ("3s", 3.0),
        ("0", 0.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert Seconds().convert(text, None, None) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "-1", "x", "1d", "nan", "inf", "1e5", "10 s m", "9" * 30])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a duration"):
        Seconds().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("100MB", (100_000_000, None)),
        ("2G", (2_000_000_000, None)),
        ("1h", (None, 3600.0)),
        ("90s", (None, 90.0)),
    ],
)
def test_a_rotation_is_by_size_or_by_time(
    text: str, limits: tuple[int | None, float | None]
) -> None:
    assert Rotation().convert(text, None, None) == limits


@pytest.mark.parametrize(
    ("text", "message"),
    [("0", "no unit"), ("100", "no unit"), ("5kB", "below the minimum"), ("x", "not a duration")],
)
def test_what_is_no_rotation_is_refused(text: str, message: str) -> None:
    with pytest.raises(click.BadParameter, match=message):
        Rotation().convert(text, None, None)


def test_signal_lists_mix_names_and_numbers() -> None:
    assert SignalList().convert("9,TERM, SIGRTMIN+3", None, None) == {9, 15, 37}
    assert SignalName().convert("quit", None, None) == 3
    with pytest.raises(click.BadParameter, match="NOPE"):
        SignalList().convert("9,NOPE", None, None)


def test_fail_on_takes_codes_in_any_case_and_all() -> None:
    assert CodeList().convert("zt101,ZT201", None, None) == {"ZT101", "ZT201"}
    assert CodeList().convert("all", None, None) == set(FINDING_KINDS)
    with pytest.raises(click.BadParameter, match="no finding has the code ZT999"):
        CodeList().convert("ZT999", None, None)


def test_comma_lists_are_taken_apart() -> None:
    assert split_commas(["a,b", "c", ",d,"]) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, "nothing to trace"),
        (["--all", "-c", "web"], 2, "--all cannot be combined"),
        (["-c", "web", "run", "--", "true"], 2, "--container: options for 'run' must follow"),
        (["-s", "NOPE", "--all"], 2, "no signal is called"),
        (["-d", "soon", "--all"], 2, "is not a duration"),
        (["--fail-on", "ZT1", "--all"], 2, "no finding has the code ZT1"),
        (["nonsense"], 2, "No such command"),
        (["run"], 2, "Missing argument"),
        (["run", "--", "/no/such/program"], 2, "program not found"),
        (["--pidns", "x"], 2, "is not a PID namespace"),
        (["-c", "../../etc"], 2, "../../etc"),
        (["--all", "-d", "1", "--report", "/no/such/dir/r.json"], 69, "is not a directory"),
        (["--all", "-d", "1", "--report", "/"], 69, "is a directory"),
    ],
)
def test_a_bad_command_line_costs_one_clear_line_and_no_trace(
    arguments: list[str], status: int, message: str
) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "tracer.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert result.returncode == status


_VALUES = {
    "containers": "web", "pidns": "1", "cgroups": "/x", "duration_s": "1", "min_zombie_s": "1",
    "detail": "2000", "show_commands": "on", "source_name": "netlink",
    "write_path": "x", "report_path": "x",
    "signals": "9", "fail_on": "all",
}  # fmt: skip


@pytest.mark.parametrize(
    "option",
    [each for each in cli.params if isinstance(each, click.Option) and each.name != "version"],
    ids=lambda option: str(option.name),
)
def test_an_option_before_a_command_is_refused_and_never_ignored(
    option: click.Option, monkeypatch: pytest.MonkeyPatch
) -> None:
    # -v holds for the whole process.
    monkeypatch.setattr(ending._details, "are_wanted", False)
    value = [] if option.is_flag else [_VALUES[str(option.name)]]
    with pytest.raises(UsageError) as raised:
        # Also where it is what would hold anyhow.
        run([option.opts[0], *value, "explain", "ZT101"])
    assert raised.value.message == (
        f"{max(option.opts, key=len)}: options for 'explain' must follow the command name"
    )
