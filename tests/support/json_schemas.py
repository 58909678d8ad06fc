"""The published schemas of the JSON that zomtrace writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

_SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"


def _schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((_SCHEMAS / name).read_text(encoding="utf-8"))
    return loaded


REPORT_SCHEMA = _schema("zomtrace.report-1.json")
EVENT_SCHEMA = _schema("zomtrace.event-1.json")
REPORT_VALIDATOR = Draft202012Validator(REPORT_SCHEMA)
EVENT_VALIDATOR = Draft202012Validator(EVENT_SCHEMA)
