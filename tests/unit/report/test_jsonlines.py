"""Events as lines of JSON: names, nulls, and lines any parser takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.support import annotated as samples
from tests.support.hostile_names import HOSTILE_NAMES
from tests.support.json_schemas import EVENT_SCHEMA, EVENT_VALIDATOR, REPORT_SCHEMA
from tests.support.reports import BEGIN_NS, CONTAINER_ID, INIT_PID, PIDNS, UTC_OFFSET_NS, WEB
from tracer.model.annotated import Annotated
from tracer.model.events import (
    ContainerEvent,
    DeliverEvent,
    EndEvent,
    ExecEvent,
    ExitBeginEvent,
    ForkFailedEvent,
    LifetimeEvent,
    LossEvent,
    ObservationEvent,
    OomEvent,
    Precision,
    ProcessEvent,
    SigchldAction,
    TeardownEvent,
    TeardownPhase,
)
from tracer.model.identity import ProcessKey
from tracer.model.signals import Disposition, SignalResult
from tracer.model.verdicts import ReapKind
from tracer.model.wait_status import WaitStatus
from tracer.report.jsonlines import COMMON_KEYS, event_to_json, render_line

PROCESS = samples.a_process()
EVENTS: dict[str, Annotated] = {
    "attached": samples.attached(),
    "process": Annotated(
        ProcessEvent(
            BEGIN_NS,
            PROCESS,
            is_zombie=True,
            live_threads=0,
            status=WaitStatus(3, None, False),
            own_sigchld=SigchldAction.UNKNOWN,
            parent_sigchld=SigchldAction.CAUGHT,
            tracer_host_pid=None,
        ),
        WEB,
    ),
    "fork": samples.a_fork(),
    "exec": Annotated(ExecEvent(BEGIN_NS, PROCESS), WEB),
    "exit": samples.a_death(),
    "reap": samples.a_reap(),
    "signal": samples.a_signal(),
    "deliver": Annotated(
        DeliverEvent(BEGIN_NS, PROCESS, PROCESS.host_pid, 15, 0, Disposition.CAUGHT), WEB
    ),
    "teardown": Annotated(TeardownEvent(BEGIN_NS, PROCESS, TeardownPhase.BEGIN), WEB),
    "oom": Annotated(OomEvent(BEGIN_NS, PROCESS, samples.an_actor()), WEB),
    "fork_failed": Annotated(ForkFailedEvent(BEGIN_NS, PROCESS, -11), WEB),
    "observation": Annotated(
        ObservationEvent(BEGIN_NS, "proc", ProcessKey(7, 8), {"wchan": "do_wait"}), WEB
    ),
    "loss": Annotated(LossEvent(BEGIN_NS, {"exit": 12})),
}
LIFETIME_KEYS = (
    "forked_boot_ns",
    "exit_boot_ns",
    "executed",
    "zombie_ns",
    "reap_kind",
    "reaper_host_pid",
    "reaper_comm",
    "precision",
)


def an_uneventful_lifetime() -> Annotated:
    return Annotated(
        LifetimeEvent(
            boot_ns=BEGIN_NS + 30,
            process=PROCESS,
            born_comm="sh",
            forked_ns=BEGIN_NS,
            exec_ns=BEGIN_NS + 10,
            executed="true",
            exit_ns=BEGIN_NS + 20,
            status=WaitStatus(3, None, False),
            notified_ns=BEGIN_NS + 25,
            precision=Precision.UPPER_BOUND,
            parent_sigchld=SigchldAction.DEFAULT,
            si_code=1,
            si_pid=2,
            disposition=Disposition.DEFAULT,
            result=SignalResult.IGNORED,
        ),
        WEB,
        zombie_ns=5,
        reap_kind=ReapKind.PARENT,
        reaper_host_pid=INIT_PID,
        reaper_comm="init",
        precision=Precision.UPPER_BOUND,
    )


def _line(annotated: Annotated) -> dict[str, Any]:
    line = render_line(annotated, UTC_OFFSET_NS)
    assert line is not None
    parsed: dict[str, Any] = json.loads(line)
    return parsed


@pytest.mark.parametrize("kind", EVENTS)
def test_a_line_follows_the_schema_and_begins_with_the_common_keys(kind: str) -> None:
    line = _line(EVENTS[kind])

    EVENT_VALIDATOR.validate(line)
    assert tuple(line)[: len(COMMON_KEYS)] == COMMON_KEYS
    assert line["kind"] == kind


@pytest.mark.parametrize("kind", EVENTS)
def test_the_schema_describes_every_key_of_a_line(kind: str) -> None:
    described = set(EVENT_SCHEMA["$defs"][kind]["properties"]) | set(COMMON_KEYS)

    assert set(_line(EVENTS[kind])) == described


def test_the_schema_knows_no_other_kinds() -> None:
    assert set(EVENT_SCHEMA["properties"]["kind"]["enum"]) == set(EVENTS)


def test_schemas_are_schemas() -> None:
    Draft202012Validator.check_schema(REPORT_SCHEMA)
    Draft202012Validator.check_schema(EVENT_SCHEMA)


@pytest.mark.parametrize(
    "annotated",
    [
        Annotated(ExitBeginEvent(BEGIN_NS, PROCESS)),
        Annotated(EndEvent(BEGIN_NS, "Ctrl-C")),
        samples.an_exit(live_threads=2),
    ],
    ids=["begin of an exit", "end of the trace", "leader before its threads"],
)
def test_what_is_no_line_of_its_own_gets_none(annotated: Annotated) -> None:
    assert event_to_json(annotated, UTC_OFFSET_NS) is None


def test_a_death_by_signal_has_a_signal_and_no_exit_code() -> None:
    assert _line(samples.a_death(at_ns=BEGIN_NS + 123_456_789)) == {
        "kind": "exit",
        "time": "2026-11-22T10:46:48.123456789Z",
        "boot_ns": BEGIN_NS + 123_456_789,
        "host_pid": 4712,
        "ns_pid": 2,
        "start_boot_ns": PROCESS.start_boot_ns,
        "comm": "worker",
        "parent_host_pid": INIT_PID,
        "pidns_inum": PIDNS,
        "cgroup_id": 4242,
        "container_id": CONTAINER_ID,
        "container_name": "web",
        "exit_code": None,
        "term_signal": "SIGKILL",
        "core_dumped": False,
        "cause": "pidns_teardown",
        **dict.fromkeys(LIFETIME_KEYS),
    }


def test_an_uneventful_lifetime_is_one_line_of_an_exit_with_its_reap() -> None:
    line = _line(an_uneventful_lifetime())

    EVENT_VALIDATOR.validate(line)
    assert line["kind"] == "exit"
    assert line["boot_ns"] == BEGIN_NS + 30
    assert (line["exit_code"], line["term_signal"], line["cause"]) == (3, None, None)
    assert {key: line[key] for key in LIFETIME_KEYS} == {
        "forked_boot_ns": BEGIN_NS,
        "exit_boot_ns": BEGIN_NS + 20,
        "executed": "true",
        "zombie_ns": 5,
        "reap_kind": "parent",
        "reaper_host_pid": INIT_PID,
        "reaper_comm": "init",
        "precision": "upper_bound",
    }


def test_the_order_of_keys_is_fixed() -> None:
    assert list(_line(samples.a_death()))[len(COMMON_KEYS) :] == [
        "exit_code",
        "term_signal",
        "core_dumped",
        "cause",
        *LIFETIME_KEYS,
    ]
    assert list(_line(an_uneventful_lifetime())) == list(_line(samples.a_death()))
    assert list(_line(samples.a_reap()))[len(COMMON_KEYS) :] == [
        "zombie_ns",
        "reap_kind",
        "reaper_host_pid",
        "reaper_comm",
        "precision",
    ]


def test_a_user_s_signal_has_a_sender_and_no_trigger() -> None:
    line = _line(samples.a_signal())

    assert {key: line[key] for key in list(line)[len(COMMON_KEYS) :]} == {
        "signal": "SIGTERM",
        "sender_host_pid": 4801,
        "sender_ns_pid": 0,
        "sender_comm": "runc",
        "sender_chain": ["containerd-shim", "systemd"],
        "sender_syscall": "pidfd_send_signal",
        "trigger_host_pid": None,
        "trigger_comm": None,
        "si_code": 0,
        "result": "delivered",
        "cause": "stop_signal",
        "disposition": "caught",
        "repeats": 0,
        "repeats_since_boot_ns": None,
    }


def test_the_kernels_own_signal_has_a_trigger_and_no_sender() -> None:
    line = _line(samples.a_teardown_kill())

    assert [line[key] for key in line if key.startswith("sender_")] == [None] * 5
    assert (line["trigger_host_pid"], line["trigger_comm"]) == (INIT_PID, "fwd")


def test_a_failed_fork_names_its_error() -> None:
    line = _line(EVENTS["fork_failed"])

    assert (line["errno"], line["error"]) == (11, "EAGAIN")


def test_a_container_that_was_found_is_an_observation_of_it() -> None:
    line = _line(Annotated(ContainerEvent(BEGIN_NS, WEB)))

    EVENT_VALIDATOR.validate(line)
    assert (line["kind"], line["source"], line["host_pid"]) == ("observation", "docker", INIT_PID)
    assert line["container_id"] == CONTAINER_ID


@given(
    comm=st.text(st.characters(codec=None, categories=None)) | st.sampled_from(HOSTILE_NAMES),
    number=st.floats(),
)
def test_a_line_is_one_line_of_valid_json_whatever_is_in_it(comm: str, number: float) -> None:
    values = {comm: [comm, number, {comm: None}], "bytes": "\udcff"}
    for annotated in (
        samples.an_exit(comm=comm),
        samples.a_signal(comm=comm, actor=samples.an_actor(comm=comm, chain=(comm,))),
        Annotated(ObservationEvent(BEGIN_NS, comm, None, values)),
    ):
        line = render_line(annotated, UTC_OFFSET_NS)
        assert line is not None
        assert line.isprintable()
        line.encode("utf-8")
        json.loads(line, parse_constant=pytest.fail)


def test_a_comm_is_escaped_as_text() -> None:
    assert _line(samples.an_exit(comm="\x1b[31m"))["comm"] == "\\x1b[31m"


def test_what_is_no_json_type_is_refused_not_guessed() -> None:
    with pytest.raises(TypeError, match="complex"):
        render_line(Annotated(ObservationEvent(BEGIN_NS, "proc", None, {"a": 1j})), 0)
