"""Markdown pages whose examples are run: what stands below each is what it gives.

A block marked ``console`` holds commands (``$ ...``) with their output, one marked
``pycon`` a session at Python's prompt. All of a page share one directory and one
interpreter's names. The page is made once more with the outputs of today.
"""

from __future__ import annotations

import doctest
import io
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

_BLOCK = re.compile(r"^```(console|pycon)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROMPT = "$ "
_WITHIN_S = 120


def run_page(text: str, directory: Path, names: Mapping[str, Any]) -> str:
    """Give the page with the outputs its examples have today.

    Args:
        text: The page.
        directory: Where its commands run.
        names: What its Python examples find.
    """
    known = dict(names)

    def run(match: re.Match[str]) -> str:
        ran = _run_commands(match[2], directory) if match[1] == "console" else _run(match[2], known)
        # Tables are padded to their right end: no page needs that.
        lines = [line.rstrip() for line in ran.splitlines()]
        return "\n".join([f"```{match[1]}", *lines, "```"])

    return _BLOCK.sub(run, text)


def _run_commands(block: str, directory: Path) -> str:
    commands = [line for line in block.splitlines() if line.startswith(_PROMPT)]
    outputs = [_run_command(line.removeprefix(_PROMPT), directory) for line in commands]
    # A blank line between what was printed and the next command.
    between = [*("\n" if output else "" for output in outputs[:-1]), ""]
    parts = zip(commands, outputs, between, strict=True)
    return "".join(f"{line}\n{output}{blank}" for line, output, blank in parts)


def _run_command(command: str, directory: Path) -> str:
    ran = subprocess.run(
        ["/bin/bash", "-c", command],
        cwd=directory,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
            "COLUMNS": "80",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_WITHIN_S,
        check=False,
    )
    output = ran.stdout.decode()
    assert ran.returncode == 0, f"{command}: {output}"
    return output


def _run(block: str, names: dict[str, Any]) -> str:
    told = []
    for example in doctest.DocTestParser().get_examples(block):
        with redirect_stdout(io.StringIO()) as printed:
            exec(compile(example.source, "page", "single"), names)
        lines = example.source.splitlines()
        # What is within a block of Python's is indented; the prompt says so.
        prompts = [">>> " + lines[0], *("... " + line for line in lines[1:])]
        shown = "\n".join(line.rstrip() for line in prompts)
        told.append(f"{shown}\n{printed.getvalue().rstrip()}".rstrip() + "\n")
    return "".join(told)
