"""Stdout's reader takes its time: what is written meanwhile, and who waits."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO
from weakref import ref

import pytest

from tracer.cli.pipe_writer import put_pipe_writer_on_stdout


@contextmanager
def stdout_as_a_pipe() -> Iterator[int]:
    """Gives its reading end, which never blocks."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    before, sys.stdout = sys.stdout, open(writing, "w", encoding="utf-8")  # noqa: SIM115
    stream = ref(sys.stdout)
    try:
        yield reading
    finally:
        sys.stdout.flush()
        kept = stream()
        assert kept is not None
        sys.stdout = before
        gc.collect()
        assert not kept.closed
        kept.close()


def read(pipe: int) -> bytes:
    """What is there, if anything."""
    with contextlib.suppress(BlockingIOError):
        return os.read(pipe, 1 << 20)
    return b""


def test_all_comes_though_the_reader_reads_only_while_it_is_waited_for() -> None:
    with stdout_as_a_pipe() as pipe:
        taken = []
        put_pipe_writer_on_stdout(lambda: taken.append(read(pipe)))
        text = "".join(f"line {number}\n" for number in range(50_000))
        sys.stdout.write(text)
        sys.stdout.flush()
        taken.append(read(pipe))
        os.close(pipe)
    assert len(taken) > 2
    assert b"".join(taken).decode() == text


def test_short_waits_are_used_as_well() -> None:
    with stdout_as_a_pipe() as pipe:
        looks = 0

        def look() -> None:
            nonlocal looks
            looks += 1
            read(pipe)

        put_pipe_writer_on_stdout(look)
        sys.stdout.write("a line\n" * 10)
        sys.stdout.flush()
        for _ in range(20):
            sys.stdout.write("x" * 4000)
            sys.stdout.flush()
        assert looks >= 20
        os.close(pipe)


def test_the_pipe_stays_open_when_the_stream_before_is_forgotten() -> None:
    with stdout_as_a_pipe() as pipe:
        put_pipe_writer_on_stdout(lambda: None)
        gc.collect()
        sys.stdout.write("after\n")
        sys.stdout.flush()
        assert os.read(pipe, 100) == b"after\n"
        os.close(pipe)


def test_a_reader_that_is_gone_is_a_broken_pipe() -> None:
    with stdout_as_a_pipe() as pipe:
        put_pipe_writer_on_stdout(lambda: None)
        os.close(pipe)
        sys.stdout.write("for nobody\n")
        with pytest.raises(BrokenPipeError):
            sys.stdout.flush()
        # Or it is tried again at the end.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def test_a_file_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull, "w", encoding="utf-8") as file:
        streams: list[TextIO] = [file, io.StringIO()]
        for stream in streams:
            monkeypatch.setattr(sys, "stdout", stream)
            put_pipe_writer_on_stdout(lambda: None)
            assert sys.stdout is stream


def test_who_is_interrupted_as_a_line_went_out_does_not_write_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write, is_interrupted = os.write, [True]

    def write_and_be_interrupted(fd: int, data: bytes) -> int:
        count = write(fd, data)
        if is_interrupted.pop():
            raise KeyboardInterrupt
        return count

    with stdout_as_a_pipe() as reading:
        put_pipe_writer_on_stdout(lambda: None)
        sys.stdout.write("one\n")
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", write_and_be_interrupted)
            with pytest.raises(KeyboardInterrupt):
                sys.stdout.flush()
        sys.stdout.write("two\n")
        sys.stdout.flush()
        assert read(reading) == b"one\n"
