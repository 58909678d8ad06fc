"""Capture files made of a made-up host, and the report that must come of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.support.made_host import MadeHost
from tracer.capture.schema import CaptureHeader
from tracer.capture.writer import CaptureWriter
from tracer.correlate.correlator import Correlator, CorrelatorOptions
from tracer.diagnose.summary import summarise
from tracer.model.report import Report
from tracer.wire.decode import Decoder

MIN_ZOMBIE_NS = 1_000_000_000


def header_of(host: MadeHost, **changes: object) -> CaptureHeader:
    """The header of a capture of it."""
    plain = CaptureHeader(
        attached=host.attached,
        hostname="web-1",
        boot_id="0f0e0d0c",
        created_unix_ns=1_700_001_000_000_000_000,
        min_zombie_ns=MIN_ZOMBIE_NS,
        trace_id="a1b2c3",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def write_capture(
    path: Path, host: MadeHost, *, batch: int = 50_000, is_whole: bool = True, **changes: object
) -> Path:
    """Write what a trace of it would have written."""
    writer = CaptureWriter(path, header_of(host, **changes))
    writer.write_event(host.attached)
    for records in host.records(batch):
        if len(records):
            writer.write_records(records)
    writer.write_event(host.end)
    writer.close(is_whole=is_whole)
    return path


def live_report(host: MadeHost) -> Report:
    """The report of a live trace of it."""
    correlator = Correlator(CorrelatorOptions(min_zombie_ns=MIN_ZOMBIE_NS, keep_uneventful=False))
    decoder = Decoder("x86_64")
    correlator.feed(host.attached)
    for records in host.records():
        for event in decoder.decode_batch(records):
            correlator.feed(event)
    correlator.feed(host.end)
    return summarise(correlator)
