"""The dtype against the compiler that the header is written for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.require import require_program
from tracer.errors import ZomtraceError
from tracer.wire.header import CONSTANTS, KIND_NAMES, bpf_directory, parse_constants
from tracer.wire.layout import RECORD, parse_record


def test_every_field_is_where_the_compiler_puts_it(tmp_path: Path) -> None:
    compiler = require_program("gcc", "gcc", "cc")
    assert RECORD.names is not None
    prints = "".join(
        f'printf("{name} %zu %zu\\n", offsetof(struct zt_event, {name}),'
        f" sizeof(((struct zt_event *)0)->{name}));\n"
        for name in RECORD.names
    )
    source = tmp_path / "layout.c"
    source.write_text(
        "#include <stddef.h>\n#include <stdio.h>\n#include <zt_event.h>\n"
        "int main(void) {\n"
        f'{prints}printf("total %zu 0\\n", sizeof(struct zt_event));\nreturn 0; }}\n'
    )
    program = tmp_path / "layout"
    subprocess.run([compiler, f"-I{bpf_directory()}", "-o", program, source], check=True)
    printed = subprocess.run([program], check=True, stdout=subprocess.PIPE, text=True).stdout
    compiled = {
        name: (int(offset), int(size))
        for name, offset, size in (line.split() for line in printed.splitlines())
    }
    fields = RECORD.fields
    assert fields is not None
    ours = {name: (fields[name][1], fields[name][0].itemsize) for name in RECORD.names}
    assert compiled == {**ours, "total": (RECORD.itemsize, 0)}


def test_no_byte_of_the_record_is_implicit_padding() -> None:
    fields = RECORD.fields
    assert fields is not None
    assert sum(field[0].itemsize for field in fields.values()) == RECORD.itemsize


def test_a_record_in_the_ring_needs_no_padding() -> None:
    assert RECORD.itemsize % 8 == 0


def test_every_constant_has_the_value_the_preprocessor_gives_it(tmp_path: Path) -> None:
    compiler = require_program("gcc", "gcc", "cc")
    prints = "".join(f'printf("{name} %lld\\n", (long long){name});\n' for name in CONSTANTS)
    source = tmp_path / "constants.c"
    source.write_text(
        f"#include <stdio.h>\n#include <zt_event.h>\nint main(void) {{\n{prints}return 0; }}\n"
    )
    program = tmp_path / "constants"
    subprocess.run([compiler, f"-I{bpf_directory()}", "-o", program, source], check=True)
    printed = subprocess.run([program], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert {n: int(v) for n, v in (line.split() for line in printed.splitlines())} == CONSTANTS


def test_no_constant_of_the_header_is_overlooked() -> None:
    header = (bpf_directory() / "zt_event.h").read_text()
    defined = {line.split()[1] for line in header.splitlines() if line.startswith("#define ")}
    assert defined - CONSTANTS.keys() == {"ZT_EVENT_H"}


def test_every_kind_has_a_name() -> None:
    assert sorted(KIND_NAMES) == list(range(1, CONSTANTS["ZT_KIND_COUNT"]))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("struct other { int a;\n};", "no struct zt_event"),
        ("struct zt_event {\n double a;\n};", "double a"),
        ("struct zt_event {\n int a:3;\n};", "int a:3"),
        ("struct zt_event {\n int *a;\n};", r"int \*a"),
    ],
)
def test_a_header_that_cannot_be_read_is_an_error(header: str, message: str) -> None:
    with pytest.raises(ZomtraceError, match=message):
        parse_record(header, {})


def test_arrays_of_names_keep_their_shape() -> None:
    record = parse_record(
        "struct zt_event {\n char one[LEN];\n char many[2][LEN];\n unsigned int n[3];\n};",
        parse_constants("#define LEN 16\n"),
    )
    assert [(name, record[name].shape, record[name].base.str) for name in record.names or ()] == [
        ("one", (), "|S16"),
        ("many", (2,), "|S16"),
        ("n", (3,), "<u4"),
    ]
