"""Each rule of advice: a case in which it is given, and one in which a fact refutes it."""

from __future__ import annotations

from typing import Any

import pytest

from tracer.diagnose.advice import (
    Subject,
    advise_end,
    advise_group,
    advise_init,
    advise_longer_grace,
    advise_shell,
    advise_stop_signal,
    advise_without_handler,
    refuse_longer_grace,
)
from tracer.model.claims.hold import Hold, HoldReason
from tracer.model.identity import ProcessKey
from tracer.model.signals import parse_signal

TERM, WINCH, QUIT, INT = (parse_signal(name) for name in ("TERM", "WINCH", "QUIT", "INT"))


def a_subject(program: str = "server", **changes: Any) -> Subject:
    return Subject(comm=program, program=program, **changes)


def a_hold(reason: HoldReason, **changes: Any) -> Hold:
    return Hold(holder=ProcessKey(1, 1), reason=reason, **changes)


@pytest.mark.parametrize(("subject", "signo", "is_given"), [
    (a_subject(is_pid1=True), TERM, True),
    (a_subject(is_pid1=False), TERM, False),
    (a_subject("tini", is_pid1=True, is_init_program=True), TERM, False),
    # Its default action is to be ignored: as an ordinary process it goes on, too.
    (a_subject(is_pid1=True), WINCH, False),
])  # fmt: skip
def test_an_init_helps_where_the_default_action_then_ends_it(
    subject: Subject, signo: int, is_given: bool
) -> None:
    assert (advise_init(subject, signo) is not None) is is_given


def test_an_init_in_front_of_a_shell_does_not_reach_what_the_shell_started() -> None:
    said = advise_init(a_subject("entry.sh", is_shell=True, is_pid1=True), TERM)
    assert said is not None
    assert "but not the processes it started" in said


@pytest.mark.parametrize(("are_in_group", "have_orderly_parent", "is_given"), [
    (True, False, True), (False, False, False), (None, False, False), (True, True, False),
])  # fmt: skip
def test_tini_g_only_for_those_in_the_group(
    are_in_group: bool | None, have_orderly_parent: bool, is_given: bool
) -> None:
    said = advise_group(are_in_group=are_in_group, have_orderly_parent=have_orderly_parent)
    assert (said is not None) is is_given


def test_exec_and_trap_only_for_a_shell_and_with_both_halves() -> None:
    said = advise_shell(a_subject("entry.sh", is_shell=True), TERM)
    assert said is not None
    assert "`exec`" in said
    assert said.count('wait "$child"') == 2
    assert advise_shell(a_subject("python3"), TERM) is None


@pytest.mark.parametrize(("program", "signo", "words"), [
    ("postgres", TERM, "STOPSIGNAL SIGINT"), ("postgres", INT, None),
    ("nginx", TERM, "STOPSIGNAL SIGQUIT"), ("nginx", QUIT, None),
    ("php-fpm8.2", TERM, "STOPSIGNAL SIGQUIT"), ("apache2", TERM, "STOPSIGNAL SIGWINCH"),
    ("apache2", WINCH, None), ("sleep", WINCH, "STOPSIGNAL SIGTERM"), ("sleep", TERM, None),
    ("systemd", TERM, "STOPSIGNAL SIGRTMIN+3"), ("runsvdir", TERM, "STOPSIGNAL SIGHUP"),
    ("uwsgi", TERM, "--die-on-term"), ("uwsgi", QUIT, None),
])  # fmt: skip
def test_another_stop_signal_only_for_programs_of_the_table(
    program: str, signo: int, words: str | None
) -> None:
    said = advise_stop_signal(a_subject(program), signo)
    assert (said is None) if words is None else (said is not None and words in said)


@pytest.mark.parametrize(("reason", "is_making_headway", "is_given"), [
    (HoldReason.HANDLING, True, True), (HoldReason.HANDLING, False, False),
    (HoldReason.IGNORED, True, False), (HoldReason.WENT_ON, True, False),
])  # fmt: skip
def test_a_longer_grace_only_with_headway(
    reason: HoldReason, is_making_headway: bool, is_given: bool
) -> None:
    hold = a_hold(reason, is_making_headway=is_making_headway)
    assert (advise_longer_grace(hold) is not None) is is_given
    assert ("raise the grace" in advise_end(hold, a_subject(), None, TERM)) is is_given


@pytest.mark.parametrize(("hold", "is_refused"), [
    (a_hold(HoldReason.IGNORED), True), (a_hold(HoldReason.DROPPED), True),
    (a_hold(HoldReason.BLOCKED), True), (a_hold(HoldReason.WENT_ON), True),
    (a_hold(HoldReason.NOT_SIGNALLED, waits_for_shell=True), True),
    (a_hold(HoldReason.NOT_SIGNALLED), False), (a_hold(HoldReason.HANDLING), False),
    (a_hold(HoldReason.UNKNOWN), False),
])  # fmt: skip
def test_a_longer_grace_is_refused_only_where_it_was_seen_not_to_help(
    hold: Hold, is_refused: bool
) -> None:
    assert (refuse_longer_grace(hold, "x", "SIGTERM") is not None) is is_refused


@pytest.mark.parametrize(("reason", "words"), [
    (HoldReason.FROZEN, "docker unpause"), (HoldReason.UNINTERRUPTIBLE, "No signal ends it"),
    (HoldReason.DYING, "No signal ends it"), (HoldReason.IGNORED, "Make server exit on SIGTERM"),
    (HoldReason.UNKNOWN, "Find out what server is still doing"),
])  # fmt: skip
def test_what_to_change_follows_the_reason(reason: HoldReason, words: str) -> None:
    assert words in advise_end(a_hold(reason), a_subject(), None, TERM)


def test_who_was_not_signalled_is_to_be_reached_by_its_parent_or_the_shell_changed() -> None:
    supervisor, shell = a_subject("supervisor"), a_subject("sh", is_shell=True)
    plain = advise_end(a_hold(HoldReason.NOT_SIGNALLED), a_subject(), supervisor, TERM)
    assert "Before supervisor waits for its child server, have it forward SIGTERM" in plain
    trapped = a_hold(HoldReason.NOT_SIGNALLED, waits_for_shell=True)
    assert "`exec`" in advise_end(trapped, a_subject("sleep"), shell, TERM)


def test_without_a_handler_a_program_may_have_one_installed_and_a_shell_a_trap() -> None:
    assert "Or install a SIGTERM handler in server" in advise_without_handler(
        a_subject(is_pid1=True), TERM
    )
    said = advise_without_handler(a_subject("sh", is_shell=True, is_pid1=True), TERM)
    assert "trap" in said
    assert "handler in sh" not in said
