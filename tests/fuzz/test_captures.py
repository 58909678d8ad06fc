"""Captures spoilt at random: each is read or refused, soon and in little memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import capture_reader
from tests.fuzz.bounds import WHOLE_RUN, Worker, cases
from tests.fuzz.json_values import spoil_json
from tests.support.captures import header_of
from tests.support.folded import FoldedHost
from tests.support.forging import WEB, Parts, join, reseal, split, web_parts
from tests.support.made_host import MadeHost
from tracer.capture.event_json import event_to_json
from tracer.capture.schema import header_to_json
from tracer.wire.whole_lifetimes import WORTH_IT

pytestmark = WHOLE_RUN


class CaptureWorker(Worker):
    """It reads the one file that every case is written to."""

    def __init__(self, path: Path) -> None:
        super().__init__(capture_reader.__name__)
        self.path = path

    def read_parts(self, parts: Parts) -> None:
        """Have a capture read, if one can be made of these."""
        try:
            parts.write(self.path)
        except (UnicodeEncodeError, ValueError):
            return
        self.read()

    def read(self) -> None:
        """Have the file read."""
        self.look(str(self.path))


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaptureWorker]:
    """One process for all."""
    with CaptureWorker(tmp_path_factory.mktemp("fuzz") / "spoilt.arrows") as worker:
        yield worker


def host_parts(host: MadeHost) -> Parts:
    """A capture of a whole host, made up."""
    records = list(host.records(80))
    events: list[Any] = [event_to_json(host.attached), *records, event_to_json(host.end)]
    return Parts(json.loads(header_to_json(header_of(host))), events)


SIZES = {"killed": 1, "leaked": 1, "containers": 1, "workers": 2}
BASES = (
    web_parts(),
    host_parts(MadeHost(short_lived=7, **SIZES)),
    # Enough of them to be counted by whole columns.
    host_parts(FoldedHost(short_lived=WORTH_IT + 9, **SIZES)),
)


def spoil_records(data: st.DataObject, records: Any) -> Any:
    """Put other numbers or texts into one member, of one record or of all."""
    changed = records.copy()
    names = [name for name in records.dtype.names if name != "pad"]
    name = data.draw(st.sampled_from(names), label="member")
    row = data.draw(st.sampled_from([slice(None), *range(len(changed))]), label="row")
    kind = changed[name].dtype
    if kind.kind == "S":
        changed[name][row] = data.draw(st.binary(max_size=16), label="text")
        return changed
    bounds = np.iinfo(kind)
    seen = sorted({int(value) for value in records[name].ravel()})
    numbers = st.integers(int(bounds.min), int(bounds.max))
    drawn = data.draw(
        st.one_of(st.sampled_from([*seen, 0, 1, 9, 17]), st.integers(0, 64), numbers),
        label="number",
    )
    changed[name][row] = min(max(drawn, int(bounds.min)), int(bounds.max))
    return changed


@cases(250)
@given(data=st.data())
def test_spoilt_fields_with_right_seals_are_read_or_refused(
    worker: CaptureWorker, data: st.DataObject
) -> None:
    base = data.draw(st.sampled_from(BASES), label="base")
    parts = replace(base, items=list(base.items))
    for _ in range(data.draw(st.integers(1, 3), label="changes")):
        at = data.draw(st.integers(-1, len(parts.items) - 1), label="item")
        if at < 0:
            parts.header = spoil_json(data, parts.header)
        elif isinstance(parts.items[at], dict):
            parts.items[at] = spoil_json(data, parts.items[at])
        else:
            parts.items[at] = spoil_records(data, parts.items[at])
    worker.read_parts(parts)


@cases(60)
@given(data=st.data())
def test_messages_in_another_order_or_left_out_are_read_or_refused(
    worker: CaptureWorker, data: st.DataObject
) -> None:
    base = data.draw(st.sampled_from(BASES), label="base")
    order = st.lists(st.integers(0, len(base.items) - 1), max_size=2 * len(base.items))
    items = [base.items[at] for at in data.draw(order, label="order")]
    worker.read_parts(replace(base, items=items, is_whole=data.draw(st.booleans(), label="whole")))


@cases(250)
@given(data=st.data())
def test_spoilt_bytes_with_right_seals_are_read_or_refused(
    worker: CaptureWorker, data: st.DataObject
) -> None:
    messages = split(WEB.read_bytes())
    at = data.draw(st.integers(0, len(messages) - 1), label="message")
    message = bytearray(messages[at])
    for _ in range(data.draw(st.integers(1, 4), label="changes")):
        # Half of them where sizes, places and kinds are, at the beginning.
        most = data.draw(st.sampled_from([min(2_000, len(message)), len(message)]), label="most")
        place = data.draw(st.integers(8, most - 1), label="byte")
        message[place] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))
    messages[at] = reseal(bytes(message))
    join(worker.path, messages)
    worker.read()


@cases(100)
@given(data=st.data())
def test_a_capture_cut_or_spoilt_anywhere_is_read_or_refused(
    worker: CaptureWorker, data: st.DataObject
) -> None:
    whole = WEB.read_bytes()
    at = data.draw(st.integers(0, len(whole)), label="byte")
    junk = data.draw(st.binary(max_size=20), label="junk")
    skipped = data.draw(st.sampled_from([0, 1, 8, len(whole)]), label="skipped")
    worker.path.write_bytes(whole[:at] + junk + whole[at + skipped :])
    worker.read()


def test_both_outcomes_were_met(worker: CaptureWorker) -> None:
    """A fuzzer that is refused at the door, or never, tries nothing."""
    join(worker.path, split(WEB.read_bytes()))
    worker.read()
    worker.has_met("read", "refused")
