"""Every verdict has words."""

from __future__ import annotations

import pytest

from tracer.model.events import SigchldAction
from tracer.model.verdicts import Cause, ReapKind, Severity
from tracer.model.zombie_scan import ZombieBlame
from tracer.report.page import SEVERITY_STYLE
from tracer.wording import verdicts as wording
from tracer.wording.causes import CAUSES


@pytest.mark.parametrize(
    ("table", "names"),
    [
        (CAUSES, Cause),
        (wording.REAP_MEANING, ReapKind),
        (wording.SIGCHLD_MEANING, SigchldAction),
        (SEVERITY_STYLE, Severity),
        (wording.BLAME_MEANING, ZombieBlame),
        (wording.BLAME_ADVICE, ZombieBlame),
    ],
)
def test_every_verdict_has_words(table: dict[str, str], names: type) -> None:
    assert set(table) == set(names)  # type: ignore[call-overload]
