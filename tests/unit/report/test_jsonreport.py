"""The report as JSON: the schema's names, and nothing of the model left out."""

from __future__ import annotations

import dataclasses
import json

import pytest

from tests.support.json_schemas import REPORT_SCHEMA, REPORT_VALIDATOR
from tests.support.report_stories import SAMPLES, fwd_sig, hostile
from tracer.model.report import (
    Finding,
    FoldedFindings,
    FoldedProcesses,
    FoldedStops,
    FoldedZombies,
    ProcessReport,
    Report,
    StopReport,
    TimelineEntry,
    ZombieReport,
)
from tracer.report.jsonlines import COMMON_KEYS
from tracer.report.jsonreport import render_report_file, render_report_line, report_to_json


@pytest.mark.parametrize("name", SAMPLES)
def test_a_report_follows_the_schema(name: str) -> None:
    REPORT_VALIDATOR.validate(json.loads(render_report_line(SAMPLES[name]())))


def test_the_last_line_and_the_file_hold_the_same_object() -> None:
    report = fwd_sig()

    assert json.loads(render_report_line(report)) == json.loads(render_report_file(report))
    assert "\n" not in render_report_line(report)


def test_the_schema_describes_every_key_of_a_report() -> None:
    assert set(report_to_json(fwd_sig())) == set(REPORT_SCHEMA["properties"])


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("stop", StopReport),
        ("process", ProcessReport),
        ("zombie", ZombieReport),
        ("finding", Finding),
        ("folded_processes", FoldedProcesses),
        ("folded_zombies", FoldedZombies),
        ("folded_stops", FoldedStops),
        ("folded_findings", FoldedFindings),
    ],
)
def test_the_schema_has_the_models_names(name: str, model: type) -> None:
    fields = {field.name for field in dataclasses.fields(model)}

    assert set(REPORT_SCHEMA["$defs"][name]["properties"]) == fields
    assert set(REPORT_SCHEMA["$defs"][name]["required"]) == fields


def test_nothing_of_the_model_s_report_is_left_out() -> None:
    fields = {field.name for field in dataclasses.fields(Report)}

    assert fields <= set(REPORT_SCHEMA["properties"])
    assert {field.name for field in dataclasses.fields(TimelineEntry)} <= set(
        REPORT_SCHEMA["$defs"]["moment"]["properties"]
    )


def test_a_report_s_line_has_the_common_keys_and_the_end_as_its_time() -> None:
    line = report_to_json(fwd_sig())

    assert tuple(line)[: len(COMMON_KEYS)] == COMMON_KEYS
    assert (line["kind"], line["schema"]) == ("report", "zomtrace.report/1")
    assert line["time"] == "2026-11-22T10:46:58.000000000Z"


def test_a_schema_violation_would_be_noticed() -> None:
    broken = report_to_json(fwd_sig())
    broken["stops"][0]["sigkilled"] = -1
    del broken["processes"][0]["comm"]

    assert len(list(REPORT_VALIDATOR.iter_errors(broken))) == 2


def test_a_hostile_report_is_printable_json() -> None:
    line = render_report_line(hostile())

    assert line.isprintable()
    json.loads(line, parse_constant=pytest.fail)
