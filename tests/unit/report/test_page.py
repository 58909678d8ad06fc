"""Text wrapped to the width of a page."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tracer.report.escape import cell_width
from tracer.report.page import wrap


@given(st.text(), st.integers(min_value=2, max_value=40))
def test_wrapped_text_fits_and_loses_nothing(text: str, width: int) -> None:
    lines = wrap(text, width)

    assert all(cell_width(line) <= width for line in lines)
    assert "".join(wrap(text, 10_000)).replace(" ", "") == "".join(lines).replace(" ", "")


def test_a_number_stays_with_its_unit() -> None:
    assert wrap("it took 10.0 s", 13) == ["it took", "10.0 s"]
    assert wrap("runc[7] <- systemd", 12) == ["runc[7]", "<- systemd"]
