"""Ordinary lifetimes are one record; whatever else happens opens them."""

from __future__ import annotations

import time

import pytest

from tests.kernel.folding import check_folding, of_kind
from tests.support.pidns_script import PidnsScript
from tracer.kernel.lister import Wanted
from tracer.kernel.source import BpfSource
from tracer.model.target import KernelFilter
from tracer.procfs.clock import boot_now_ns
from tracer.wire.layout import CONSTANTS

pytestmark = [pytest.mark.live, pytest.mark.alone]


@pytest.mark.parametrize("allow_kprobes", [True, False], ids=["kprobes", "tracepoints"])
def test_what_is_uneventful_is_one_record_and_the_rest_is_reported(allow_kprobes: bool) -> None:
    check_folding(allow_kprobes=allow_kprobes)


_ROUNDS = 40
_SHORT_ZOMBIE_NS = 10_000_000
"""Less than a grace period, as a rule: who was reaped at once is told too late to be ordinary."""
_SCRIPT = f"""
say("ready")
hear()
for _ in range({_ROUNDS}):
    gone, there = (os.posix_spawn("/bin/true", ["true"], {{}}) for _ in range(2))
    os.waitid(os.P_PID, there, os.WEXITED | os.WNOWAIT)
    os.waitpid(gone, 0)
    say(there)
    hear()
    os.waitpid(there, 0)
    time.sleep(0.05)
say("done")
hear()
"""


def test_a_process_gone_at_a_pass_was_not_a_zombie_for_the_whole_grace_period() -> None:
    lying, passes = set(), [(0, 0)]
    with (
        PidnsScript(_SCRIPT) as script,
        BpfSource(everything=False, allow_kprobes=False) as source,
    ):
        script.listen()
        source.set_filter(KernelFilter(pidns_inums=frozenset({script.pidns_inum})))
        source.fold(_SHORT_ZOMBIE_NS)
        source.attach()
        source.seed()
        lister = source._open_roll()._lister
        script.tell()
        while (said := script.listen()) != "done":
            lying.add(int(said))
            began_ns = boot_now_ns()
            lister.tasks(Wanted.DEAD)
            passes.append((began_ns, boot_now_ns()))
            script.tell()
        # By a hook: nobody else looks who is there.
        time.sleep(0.5)
        records = source.read(0)
        assert source.take_losses() == {}
    lives = of_kind(records, "lifetime")
    proved = 0
    for life in lives:
        exit_ns, told_ns = int(life["exit_ns"]), int(life["boot_ns"])
        began_ns, ended_ns = max(one for one in passes if one[0] < told_ns)
        if told_ns < ended_ns + 1_000_000:
            # Whether the pass was over for the hook is not known here.
            continue
        is_found = bool(life["flags"] & CONSTANTS["ZT_F_FOUND"])
        is_late = told_ns - exit_ns >= _SHORT_ZOMBIE_NS
        was_gone = exit_ns < began_ns and int(life["ns_pid"]) not in lying
        if is_late and was_gone and began_ns - exit_ns < _SHORT_ZOMBIE_NS - 1_000_000:
            assert is_found
            proved += 1
        elif not was_gone or began_ns - exit_ns >= _SHORT_ZOMBIE_NS:
            assert not is_found
    assert proved
