"""PID 1 that ends by raising its stop signal again, as node, ruby, make and npm do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.events import (
    INIT,
    RUNC,
    TERM,
    a_delivery,
    a_notice,
    a_reap,
    a_seed,
    a_signal,
    an_exit,
    codes,
    finding,
    init_end,
    report_of,
)
from tracer.model.events import Event
from tracer.model.signals import Disposition, SignalResult

T, KILL = 1000, 9
DROPPED: dict[str, Any] = {"disposition": Disposition.DEFAULT, "result": SignalResult.IGNORED}
BLOCKED: dict[str, Any] = {"disposition": Disposition.BLOCKED}


def raised(disposition: Disposition = Disposition.DEFAULT) -> list[Event]:
    """From within its handler, where the signal is blocked: dropped once that returns."""
    return [
        a_signal(T), a_delivery(T + 1, INIT, disposition=Disposition.CAUGHT),
        a_signal(T + 2, INIT, TERM, INIT, **BLOCKED),
        a_delivery(T + 3, INIT, disposition=disposition),
    ]  # fmt: skip


def killed(*events: Event) -> list[Event]:
    return [*events, a_signal(T + 2000, INIT, KILL, RUNC), *init_end(T + 2001, signo=KILL)]


def test_a_stop_that_expires_so_names_the_reason_and_an_init_as_its_remedy() -> None:
    report = report_of(*killed(*raised()))
    assert codes(report) == ["ZT103", "ZT110"]
    expired = finding(report, "ZT103")
    assert "app raised SIGTERM again, which had no effect in PID 1" in expired.title
    assert "Run an init as PID 1" in (expired.advice or "")
    assert "longer grace period does not help" in (expired.advice or "")
    assert finding(report, "ZT110").severity == "info"
    assert "raised it again to end, which the kernel dropped" in report.headline
    lines = [entry.text for entry in report.timeline]
    assert [line for line in lines if "restored the default action" in line]


def test_a_handler_that_is_still_there_was_not_dropped() -> None:
    report = report_of(*killed(*raised(Disposition.CAUGHT)))
    assert codes(report) == ["ZT103"]
    assert "raised" not in finding(report, "ZT103").title


def test_what_others_send_while_it_is_blocked_was_not_raised() -> None:
    report = report_of(*killed(
        a_seed(101), a_signal(T), a_signal(T + 2, INIT, TERM, 101, **BLOCKED),
        a_delivery(T + 3, INIT),
    ))  # fmt: skip
    assert "ZT110" not in codes(report)


def test_a_program_that_ends_all_the_same_is_not_warned_of() -> None:
    """make and npm raise it after their handler, unblocked, and exit when that returns."""
    report = report_of(
        a_signal(T), a_signal(T + 1, INIT, TERM, INIT, **DROPPED), *init_end(T + 5, code=2)
    )
    assert codes(report) == ["ZT110"]
    again = finding(report, "ZT110")
    assert again.severity == "info"
    assert "exited with code 2 instead of dying of SIGTERM" in again.detail
    assert report.headline.startswith("web was stopped")


@pytest.mark.parametrize("by", [INIT, 101])
def test_a_signal_that_it_had_not_handled_before_was_not_raised_again(by: int) -> None:
    report = report_of(a_seed(101), a_signal(T, INIT, TERM, by, **DROPPED))
    dropped = finding(report, "ZT110")
    assert dropped.severity == "warning"
    assert "has no handler" in dropped.title


def test_one_below_an_init_dies_of_it_and_raised_nothing_in_vain() -> None:
    report = report_of(
        a_seed(101), a_signal(T), a_signal(T + 1, 101, TERM, INIT),
        a_signal(T + 2, 101, TERM, 101, **BLOCKED), a_delivery(T + 3, 101),
        an_exit(T + 4, 101, signo=TERM), a_notice(T + 4.1), a_reap(T + 4.2), *init_end(T + 5),
    )  # fmt: skip
    assert codes(report) == []
    assert "the one other process died of SIGTERM" in report.headline
