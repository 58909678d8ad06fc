"""Replay: the live report once more, whole or in part, on any machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support.captures import MIN_ZOMBIE_NS, header_of, live_report, write_capture
from tests.support.made_host import BEGIN_NS, SECOND_NS, UTC_OFFSET_NS, MadeHost
from tracer.capture.writer import CaptureWriter
from tracer.cli.capture import open_replay
from tracer.cli.instant import parse_instant
from tracer.errors import (
    AmbiguousTargetError,
    CaptureError,
    OutputError,
    TargetNotFoundError,
    UsageError,
)
from tracer.live.callbacks import TraceCallbacks
from tracer.live.interrupts import Interrupts
from tracer.live.recorder import Recorder, RecordOptions
from tracer.live.trace import Trace
from tracer.live.trace_options import TraceOptions
from tracer.model.events import HookState, LossEvent, ObservationEvent
from tracer.model.report import Report
from tracer.model.target import KernelFilter
from tracer.procfs import clock
from tracer.replay.replay import Replay, ReplayOptions
from tracer.report.jsonreport import render_report_file
from tracer.wire.layout import CONSTANTS

if TYPE_CHECKING:
    import numpy.typing as npt

HOST = MadeHost(short_lived=211, killed=3, leaked=7, containers=5, workers=11)


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture of the made-up host."""
    return write_capture(tmp_path_factory.mktemp("replay") / "host.arrows", HOST, batch=50)


def replay(path: Path, **options: object) -> Report:
    """The report of a capture, or of a part of it."""
    return Replay(path, ReplayOptions(**options)).conclude()  # type: ignore[arg-type]


class MadeSource:
    """Gives the made-up host's records as the kernel side would, some at a time."""

    name = "bpf"

    def __init__(self, host: MadeHost, losses: Mapping[str, int] | None = None) -> None:
        self._batches = list(host.records(at_once=30))
        self._batches_end = self._batches[-1]
        self._losses = dict(losses or {})
        self._fd = os.eventfd(1)
        self._given_out = 0
        self.seeds = 0

    def happen(self, batches: int) -> None:
        """Let so many more batches be in the ring."""
        self._given_out += batches

    def set_filter(self, kernel_filter: KernelFilter) -> None:
        assert kernel_filter.everything

    def attach(self) -> tuple[HookState, ...]:
        return HOST.attached.hooks

    def seed(self) -> npt.NDArray[np.void]:
        self.seeds += 1
        inits: npt.NDArray[np.void] = np.concatenate(list(HOST.records()))
        pids = [each.init_host_pid for each in HOST.attached.target.containers]
        inits = inits[
            (inits["kind"] == CONSTANTS["ZT_KIND_FORK"]) & np.isin(inits["host_pid"], pids)
        ]
        inits["kind"], inits["live_threads"] = CONSTANTS["ZT_KIND_PROCESS"], 1
        inits["boot_ns"] = BEGIN_NS
        return inits if self.seeds == 1 else inits[:0]

    def read(self, timeout_s: float | None) -> npt.NDArray[np.void]:
        if self._given_out == 0 or not self._batches:
            return self._batches_end[:0]
        self._given_out -= 1
        return self._batches.pop(0)

    def finish(self) -> npt.NDArray[np.void]:
        return self.read(0.0)

    def take_losses(self) -> Mapping[str, int]:
        if len(self._batches) <= 3:
            losses, self._losses = self._losses, {}
            return losses
        return {}

    capacity = 1
    filled = 0.0

    def fold(self, min_zombie_ns: int | None) -> None:
        """What it tells is made up, folded or not."""

    folded_alive = 0

    def urgent_fileno(self) -> int:
        return self.fileno()

    def fileno(self) -> int:
        return self._fd

    @property
    def is_empty(self) -> bool:
        return not self._batches

    def close(self) -> None:
        os.close(self._fd)


def trace_into(path: str, **options: object) -> tuple[Report, Recorder, MadeSource]:
    """Trace the made-up host live, with a recorder beside it."""
    recorder = Recorder(
        RecordOptions(path, **options),  # type: ignore[arg-type]
        MIN_ZOMBIE_NS,
        lambda error: None,
    )
    source = MadeSource(HOST, {"signal": 2})
    with Interrupts() as interrupts:
        trace = Trace(
            source,
            HOST.attached.target,
            TraceOptions(min_zombie_ns=MIN_ZOMBIE_NS, until_ended=False),
            interrupts,
            TraceCallbacks(),
            clock=clock,
            recorder=recorder,
        )
        trace.attach()

        def look() -> None:
            trace.add_event(
                ObservationEvent(BEGIN_NS, "made", None, {"left": len(source._batches)})
            )
            source.happen(batches=1)
            if source.is_empty:
                trace.end("all given")
            trace.schedule.after(0.01, look)

        trace.schedule.after(0.01, look)
        report = trace.run()
    recorder.finish()
    source.close()
    return report, recorder, source


# Equal.


def test_the_report_of_a_capture_is_that_of_the_live_trace(capture: Path) -> None:
    assert render_report_file(replay(capture)) == render_report_file(live_report(HOST))


def test_a_trace_and_its_recorder_agree_losses_and_observations_included(tmp_path: Path) -> None:
    path = tmp_path / "live.arrows"
    report, recorder, _ = trace_into(str(path))
    assert recorder.paths == [path]
    assert report.lost == {"signal": 2}
    assert len(report.stops) == 5
    assert render_report_file(replay(path)) == render_report_file(report)


def test_rotated_files_together_give_the_live_report(tmp_path: Path) -> None:
    directory = tmp_path / "captures"
    report, recorder, source = trace_into(f"{directory}/", rotate_bytes=20_000)
    assert len(recorder.paths) > 2
    assert source.seeds == len(recorder.paths)
    assert sorted(directory.iterdir()) == sorted(recorder.paths)
    assert render_report_file(replay(directory)) == render_report_file(report)


def test_files_are_rotated_by_age_as_well(tmp_path: Path) -> None:
    directory = tmp_path / "captures"
    # None is too young for another.
    report, recorder, _ = trace_into(f"{directory}/", rotate_s=0.0)
    assert len(recorder.paths) > 2
    assert render_report_file(replay(directory)) == render_report_file(report)
    directory = tmp_path / "one"
    _, recorder, _ = trace_into(f"{directory}/", rotate_s=3600.0)
    assert len(recorder.paths) == 1


def test_each_rotated_file_can_be_read_alone(tmp_path: Path) -> None:
    _, recorder, _ = trace_into(f"{tmp_path}/", rotate_bytes=20_000)
    for path in recorder.paths:
        alone = Replay(path)
        alone.conclude()
        assert alone.cuts == []


def test_of_rotated_files_the_newest_are_kept(tmp_path: Path) -> None:
    precious = tmp_path / "notes.txt"
    precious.touch()
    _, recorder, _ = trace_into(f"{tmp_path}/", rotate_bytes=20_000, keep=2)
    assert len(recorder.paths) > 2
    assert sorted(tmp_path.glob("*.arrows")) == recorder.paths[-2:]
    assert precious.exists()
    assert replay(tmp_path).stops is not None


def test_a_file_missing_among_rotated_ones_is_a_loss(tmp_path: Path) -> None:
    _, recorder, _ = trace_into(f"{tmp_path}/", rotate_bytes=20_000)
    recorder.paths[1].unlink()
    report = replay(tmp_path)
    assert report.lost["file"] == 1
    assert not report.complete


def test_several_traces_in_one_directory_are_not_mixed(tmp_path: Path) -> None:
    write_capture(tmp_path / "a.arrows", HOST, trace_id="a")
    write_capture(tmp_path / "b.arrows", HOST, trace_id="b")
    with pytest.raises(CaptureError, match="captures of 2 traces"):
        replay(tmp_path)


def test_a_trace_broken_off_leaves_a_capture_without_an_end(tmp_path: Path) -> None:
    path = write_capture(tmp_path / "a.arrows", HOST, is_whole=False)
    cut = Replay(path)
    cut.conclude()
    assert cut.cuts == [(path, path.stat().st_size)]


def test_a_full_disk_ends_the_recording_and_not_the_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[OutputError] = []
    calls = []

    def refuse(writer: CaptureWriter, *records: object) -> None:
        calls.append(records)
        raise OutputError("a.arrows: No space left on device")

    monkeypatch.setattr(CaptureWriter, "write_records", refuse)
    path = tmp_path / "a.arrows"
    recorder = Recorder(RecordOptions(str(path)), MIN_ZOMBIE_NS, told.append)
    recorder.add_event(HOST.attached)
    for records in HOST.records(at_once=30):
        recorder.begin(records)
        recorder.end()
    recorder.add_event(LossEvent(BEGIN_NS, {"signal": 1}))
    with pytest.raises(OutputError, match="No space left"):
        recorder.finish()
    assert len(calls) == len(told) == 1
    assert Replay(path).header == header_of(
        HOST,
        **{
            name: getattr(Replay(path).header, name)
            for name in ("hostname", "boot_id", "created_unix_ns", "trace_id", "writer")
        },
    )


# Parts.


def test_one_container_of_a_host_is_what_the_whole_report_says_of_it(capture: Path) -> None:
    whole, part = replay(capture), replay(capture, containers=("made-2",))
    (stop,) = part.stops
    assert stop == next(each for each in whole.stops if each.container_name == "made-2")
    theirs = [each for each in whole.processes if each.container_id == stop.container_id]
    assert {whole.stops[each.stop] for each in theirs if each.stop is not None} == {stop}
    # Where the stop stands in the list is all that may differ.
    assert part.processes == tuple(replace(each, stop=0) for each in theirs)
    assert len(part.processes) == 12
    pids = {each.host_pid for each in part.processes}
    assert [f.code for f in part.findings] == [
        f.code for f in whole.findings if pids >= set(f.host_pids)
    ]
    assert part.findings
    assert [each.name for each in part.containers] == ["made-2"]


@pytest.mark.parametrize(
    "name", ["made-2", "0" * 63 + "2", pytest.param("0" * 62 + "02", id="whole id")]
)
def test_a_container_is_found_by_name_and_by_id(capture: Path, name: str) -> None:
    assert [each.name for each in replay(capture, containers=(name,)).containers] == ["made-2"]


def test_the_beginning_of_several_ids_names_none_of_them(capture: Path) -> None:
    with pytest.raises(AmbiguousTargetError, match="5 containers of the capture") as error:
        replay(capture, containers=("0000",))
    assert "made-2 (" in (error.value.hint or "")


def test_a_namespace_is_found_by_its_number(capture: Path) -> None:
    part = replay(capture, pidns=(4026540003,))
    assert [stop.container_name for stop in part.stops] == ["made-3"]


def test_what_a_capture_does_not_know_is_an_error_that_names_what_it_knows(capture: Path) -> None:
    with pytest.raises(TargetNotFoundError, match="no container 'web'") as error:
        replay(capture, containers=("web",))
    assert error.value.hint is not None
    assert "made-0" in error.value.hint
    with pytest.raises(TargetNotFoundError, match="no process of 17"):
        replay(capture, pidns=(17,))


def test_until_is_as_if_the_trace_had_ended_there(capture: Path) -> None:
    before = replay(capture, until_boot_ns=BEGIN_NS + 6 * SECOND_NS)
    assert before.end_boot_ns == BEGIN_NS + 6 * SECOND_NS
    assert [stop.outcome for stop in before.stops] == [None] * 5
    assert {stop.stop_signal for stop in before.stops} == {"SIGTERM"}
    assert before.end_boot_ns <= BEGIN_NS + 6 * SECOND_NS


def test_since_leaves_out_what_was_over_and_keeps_the_rest_whole(capture: Path) -> None:
    whole = replay(capture)
    # The victims of a killer were gone by then; the stops went on until later.
    since = replay(capture, since_boot_ns=BEGIN_NS + 10 * SECOND_NS)
    assert since.stops == whole.stops
    assert since.zombies == whole.zombies
    gone = {each.host_pid for each in whole.processes} - {each.host_pid for each in since.processes}
    assert gone == {each.host_pid for each in whole.processes if each.comm == "victim"}
    assert since.begin_boot_ns == BEGIN_NS + 10 * SECOND_NS
    assert since.complete


def test_what_is_a_long_time_for_a_zombie_can_be_said_anew(capture: Path) -> None:
    assert len(replay(capture).zombies) == 7
    assert replay(capture, min_zombie_ns=7200 * SECOND_NS).zombies == ()


# Times.


@pytest.mark.parametrize(
    ("text", "after_s"),
    [
        ("+5s", 5),
        ("+1m", 60),
        ("22:30:05", 5),
        ("22:31", 60),
        ("2023-11-14T22:30:05Z", 5),
        ("2023-11-14T23:30:05.25+01:00", 5.25),
        ("2023-11-14 22:30:05", 5),
    ],
)
def test_instants_are_read_as_people_write_them(text: str, after_s: float) -> None:
    assert UTC_OFFSET_NS + BEGIN_NS == 1_700_001_000 * SECOND_NS
    instant = parse_instant(text, header_of(HOST), utc=True)
    assert instant == BEGIN_NS + int(after_s * SECOND_NS)


@pytest.mark.parametrize("text", ["noon", "25:00", "2023-13-01", "", "10:46:99"])
def test_what_is_no_instant_gets_a_hint_how_to_write_one(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time"):
        parse_instant(text, header_of(HOST), utc=True)


# On any machine.


def test_a_report_needs_neither_bcc_nor_pandas_nor_docker(capture: Path) -> None:
    code = f"""
import sys
for name in ("bcc", "docker", "pandas", "pyroute2"):
    sys.modules[name] = None
from tracer.cli.main import main
main(["report", {str(capture)!r}, "--json"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith('{"kind":"report"')
    assert done.stderr == ""


@pytest.mark.parametrize(("since", "until"), [("+99h", "2020-01-01"), ("9999-12-31", "-99999h")])
def test_an_instant_outside_of_the_trace_is_refused(capture: Path, since: str, until: str) -> None:
    with pytest.raises(UsageError, match="is before the trace began"):
        open_replay(capture, until=until)
    with pytest.raises(UsageError, match="later than the last event"):
        open_replay(capture, since=since).conclude()


def test_a_beginning_after_the_end_is_refused(capture: Path) -> None:
    with pytest.raises(UsageError, match=r"--since \+10s is later than --until \+5s"):
        open_replay(capture, since="+10s", until="+5s")
    # An instant is a span, if a short one.
    assert open_replay(capture, since="+5s", until="+5s").conclude().begin_boot_ns == (
        BEGIN_NS + 5 * SECOND_NS
    )
