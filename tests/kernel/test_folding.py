"""Ordinary lifetimes are one record, on this kernel."""

from __future__ import annotations

import pytest

from tests.kernel.folding import check_folding


@pytest.mark.subject("folding")
@pytest.mark.parametrize("allow_kprobes", [True, False], ids=["kprobes", "tracepoints"])
def test_what_is_uneventful_is_one_record_and_the_rest_is_reported(allow_kprobes: bool) -> None:
    check_folding(allow_kprobes=allow_kprobes)
