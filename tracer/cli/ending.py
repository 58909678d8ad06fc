"""How a run ends: an exit status and a line or two on stderr, whatever went wrong.

Status 1 says that a --fail-on or --strict check found something, so nothing else
may end with it: an unexpected error is 70. The traceback, and what a compiler or
the kernel's verifier said, are shown with -v.
"""

from __future__ import annotations

import _thread
import errno
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import TracebackType

from tracer.cli.streams import stdout_failure, take_streams
from tracer.errors import (
    CheckFailedError,
    PrivilegeError,
    ReaderGoneError,
    StdoutError,
    UnavailableError,
    ZomtraceError,
)
from tracer.live.interrupts import Interrupted

_INTERRUPTED = 130
_INTERNAL = 70
_AGAIN_S = 0.01
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

_REFUSALS = {
    errno.EACCES: "run as a user with permission, or name another path",
    errno.EMFILE: "raise the limit of open files (ulimit -n): a trace needs 64",
    errno.ENFILE: "raise the system-wide limit of open files (sysctl fs.file-max)",
    errno.ENOMEM: "free some memory, or raise the memory limit (ulimit -v, memory.max)",
    errno.EAGAIN: "raise the limit of processes (ulimit -u, pids.max)",
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some space there: the quota is exceeded",
    errno.EROFS: "the file system is mounted read-only",
    errno.EIO: "the device reports errors: see the kernel log (dmesg)",
}
"""What a host can be short of, or refuse, anywhere, and what to do about it."""


class _Details:
    """What -v asks for, and what went wrong outside the main thread."""

    def __init__(self) -> None:
        self.are_wanted = False
        self.is_settled = False
        self.background_errors = 0
        self.unraisable_before = sys.unraisablehook


_details = _Details()


def show_details() -> None:
    """Show tracebacks, logs and causes from now on."""
    _details.are_wanted = True


def print_details(text: str) -> None:
    """Show a log on stderr, if -v was given."""
    if _details.are_wanted and text:
        _say_block(text)


def report_unseen() -> None:
    """Say on stderr what will be missing for want of a capability."""
    from tracer.kernel.rights import unseen

    text = unseen()
    if text is not None:
        _say(text, "zomtrace doctor lists the required capabilities and their purpose")


def settle(run: Callable[[], object]) -> int:
    """Run the program and say what became of it.

    Args:
        run: The program; returns a status, or something else for 0.

    Returns:
        The exit status.
    """
    threading.excepthook = _on_thread_error
    _details.unraisable_before = sys.unraisablehook
    sys.unraisablehook = _on_unraisable
    status = _INTERNAL
    try:
        take_streams()
        result = run()
        status = result if isinstance(result, int) else 0
    except Interrupted:
        # Nothing is traced yet: the program dies of that signal.
        raise
    except BaseException as error:  # noqa: BLE001  the point of this module
        status = _print_safely(error)
    try:
        if threading.current_thread() is threading.main_thread():
            # What was decided stays: from here on there is nothing to interrupt.
            for signum in (signal.SIGINT, signal.SIGTERM):
                signal.signal(signum, signal.SIG_IGN)
        failure = stdout_failure()
        if isinstance(failure, StdoutError) and status in {0, CheckFailedError.exit_code}:
            status = _tell(failure)
        if _details.background_errors and status in {0, CheckFailedError.exit_code}:
            status = _INTERNAL
    except Interrupted:
        raise
    except BaseException as error:  # noqa: BLE001
        status = _print_safely(error)
    _details.is_settled = True
    return status


def _print_safely(error: BaseException) -> int:
    """Print an error even if memory, stack or a module is missing."""
    try:
        return _tell(error)
    except BaseException:  # noqa: BLE001
        os.write(2, b"zomtrace: internal error, and no telling which\n")
        return _INTERNAL


def _tell(error: BaseException) -> int:
    if isinstance(error, ReaderGoneError):
        return 0
    if isinstance(error, KeyboardInterrupt):
        _say("interrupted twice: exiting without a report", None)
        return _INTERRUPTED
    known = error if isinstance(error, ZomtraceError) else _foreseen(error)
    if known is None:
        return _print_unforeseen(error)
    _say(known.message, known.hint)
    if _details.are_wanted:
        _say_details(known)
        if known is not error or (known.exit_code == _INTERNAL and not _has_notes(known)):
            _say_traceback(error)
    return known.exit_code


def _foreseen(error: BaseException) -> ZomtraceError | None:
    """What a host can refuse anywhere: room, memory, descriptors, processes, permission."""
    if isinstance(error, MemoryError):
        return UnavailableError("out of memory", hint=_REFUSALS[errno.ENOMEM])
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return UnavailableError("cannot start a thread", hint=_REFUSALS[errno.EAGAIN])
    if not isinstance(error, OSError) or error.errno is None:
        return None
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    what = f"{where}{os.strerror(error.errno)}"
    if error.errno == errno.EPERM:
        return PrivilegeError(what, hint="zomtrace doctor says which capability is missing")
    if error.errno in _REFUSALS:
        return UnavailableError(what, hint=_REFUSALS[error.errno])
    return None


def _print_unforeseen(error: BaseException) -> int:
    if isinstance(error, ImportError):
        # numpy says a page of its own about what the linker said.
        while not _details.are_wanted and isinstance(error.__cause__, ImportError):
            error = error.__cause__
        _say(
            f"internal error: {_one_line(error)}",
            "the installation of zomtrace is incomplete: run scripts/setup",
        )
    else:
        _say(f"internal error: {_one_line(error)}{_place(error.__traceback__)}", _advice())
    if _details.are_wanted:
        _say_traceback(error)
    return _INTERNAL


def _advice() -> str:
    if _details.are_wanted:
        return "this is a bug in zomtrace: please report it with the lines below"
    return "run it again with -v for details, and please report it"


def _on_thread_error(hook: threading.ExceptHookArgs) -> None:
    """An uncaught error ended a thread: the trace goes on, the exit status will show it."""
    if hook.exc_value is not None:
        name = hook.thread.name if hook.thread is not None else "unknown"
        _print_background(f"the thread {name} failed", hook.exc_value)


def _on_unraisable(hook: sys.UnraisableHookArgs) -> None:
    if _details.is_settled or hook.exc_value is None:
        return
    if isinstance(hook.exc_value, Interrupted):
        _details.unraisable_before(hook)
        return
    if isinstance(hook.exc_value, KeyboardInterrupt):
        # It came while something was cleaned away, where it could end nothing: let it
        # come again, outside.
        again = threading.Timer(_AGAIN_S, _thread.interrupt_main)
        again.daemon = True
        again.start()
        return
    _print_background("during cleanup", hook.exc_value)


def _print_background(where: str, error: BaseException) -> None:
    if _details.is_settled:
        return
    _details.background_errors += 1
    place = _place(error.__traceback__)
    known = error if isinstance(error, ZomtraceError) else _foreseen(error)
    reason = known.message if known is not None else _one_line(error)
    _say(f"internal error: {where}: {reason}{place}; tracing continues", _advice())
    if _details.are_wanted:
        _say_traceback(error)


def _one_line(error: BaseException) -> str:
    kind = type(error).__name__
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  a library's own
        return kind
    return f"{kind}: {text}" if text else kind


def _place(traceback: TracebackType | None) -> str:
    """The innermost line of ours."""
    place = ""
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        if name.startswith(_PACKAGE):
            place = f" ({os.path.relpath(name, os.path.dirname(_PACKAGE))}:{traceback.tb_lineno})"
        traceback = traceback.tb_next
    return place


def _has_notes(error: BaseException) -> bool:
    return bool(getattr(error, "__notes__", None))


def _say_details(error: ZomtraceError) -> None:
    for note in getattr(error, "__notes__", ()):
        _say_block(note)
    if error.__cause__ is not None:
        _say_block(f"caused by {_one_line(error.__cause__)}")


def _say_traceback(error: BaseException) -> None:
    import traceback

    _say_block("".join(traceback.format_exception(error)))


def _say(message: str, hint: str | None) -> None:
    # A message names what was asked for, and that may be called anything.
    from tracer.report.terminal import fit_message

    lines = [fit_message(f"zomtrace: {message}", sys.stderr)]
    if hint:
        lines.append(fit_message(hint, sys.stderr, indent=2))
    _write("".join(f"{line}\n" for line in lines))


def _say_block(text: str) -> None:
    lines = [_safe(line.replace("\t", "        ")) for line in text.splitlines()]
    _write("".join(f"  | {line}\n" for line in lines))


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _safe(text: str) -> str:
    from tracer.report.escape import safe_text

    return safe_text(text)
