"""--fail-on takes what is certain, and --strict what is not, too."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.report_stories import fwd_sig
from tracer.cli.options import OutputOptions
from tracer.cli.output import Output
from tracer.errors import CheckFailedError
from tracer.model.report import Report

OPTIONS = OutputOptions(
    as_json=False,
    report_path=None,
    signals=None,
    fail_on=frozenset({"ZT102"}),
    strict=False,
    utc=True,
    no_color=True,
    verbose=False,
)


def a_report(*, is_certain: bool) -> Report:
    report = fwd_sig()
    assert "ZT102" in {finding.code for finding in report.findings}
    return replace(
        report,
        lost={},
        findings=tuple(replace(finding, complete=is_certain) for finding in report.findings),
    )


def test_a_certain_finding_fails_the_check() -> None:
    with pytest.raises(CheckFailedError, match="found ZT102"):
        Output(OPTIONS, 1.0).finish(a_report(is_certain=True))


def test_a_finding_that_is_not_certain_is_named_and_fails_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    Output(OPTIONS, 1.0).finish(a_report(is_certain=False))
    assert "--fail-on: ZT102 uncertain" in capfd.readouterr().err


def test_strict_counts_what_is_not_certain() -> None:
    with pytest.raises(CheckFailedError, match="found ZT102"):
        Output(replace(OPTIONS, strict=True), 1.0).finish(a_report(is_certain=False))
