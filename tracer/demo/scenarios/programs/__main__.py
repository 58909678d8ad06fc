"""Runs one program: ``python -I -S programs MODULE NAME ARGUMENT...``."""

import importlib
import sys
from pathlib import Path

# -I leaves the project's directory out of the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from tracer.demo.scenarios.programs import notes

_module, _name, *_arguments = sys.argv[1:]
notes.call_self(_name)
importlib.import_module(f"tracer.demo.scenarios.programs.{_module}").main(_arguments)
